"""Takes the guards of the rewriter away one at a time; for each, a test must fail.

Run as `python tests/mutants.py`. Every `raise Refuse` of the rules and the solver becomes `pass`,
and so does every reason for a near miss. Exits with 1 if the tests of its room still pass for
one of them: then that guard is untested, or not needed.
"""

from __future__ import annotations

import ast
import compileall
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from py_compile import PycInvalidationMode
from queue import SimpleQueue

ROOT = Path(__file__).resolve().parents[1]
GRAPH = Path("un_deploy/graph")
WORKERS = 2
KEPT = "UN_DEPLOY_TESTS_KEEP"  # tests/support/networks/kept.py
#: What holds guards of a file beside the tests of its own.
ALSO = {
    "absorb_into_norm.py": ("test_norms_that_stay.py",),
    "affine_steps.py": ("../test_find_sites.py", "test_scaler.py"),
    "assignment.py": ("../rules/test_conv.py",),
    "channel.py": ("test_conv.py",),
    "elementwise.py": ("test_modulation.py",),
    "matmul.py": ("test_product.py",),
    "product.py": ("test_matmul.py",),
    "propagate.py": ("test_solve.py", "../test_fold.py"),
    "ranges.py": ("test_solve.py", "../test_lost_digits.py"),
    "solve.py": ("test_assignment.py", "../rules/test_modulation.py"),
}
#: A mutant that makes the tests hang this long, in seconds, is as good as caught.
TIMEOUT = 600


@dataclass(frozen=True)
class Mutant:
    """One guard: its file from the root of the project, its lines, and what it says."""

    file: Path
    first: int
    last: int
    says: str

    def __str__(self) -> str:
        return f"{self.file.relative_to(GRAPH)}:{self.first}  {self.says}"

    def mutated(self, source: str) -> str:
        """The source with `pass` in place of the guard."""
        lines = source.splitlines(keepends=True)
        guard = lines[self.first - 1]
        indent = guard[: len(guard) - len(guard.lstrip())]
        lines[self.first - 1 : self.last] = [f"{indent}pass\n"]
        return "".join(lines)

    @property
    def own_tests(self) -> Path:
        return Path("tests") / self.file.relative_to("un_deploy").with_name(
            f"test_{self.file.name}"
        )


def find_mutants(root: Path) -> list[Mutant]:
    """Every guard, file by file."""
    rules = sorted((root / GRAPH / "fold/rules").glob("*.py"))
    solver = [
        root / GRAPH / name for name in ("fold/absorb_into_norm.py", "fold/sites/affine_steps.py")
    ]
    solver += sorted((root / GRAPH / "fold/solving").glob("*.py"))
    return [mutant for path in (*rules, *solver) for mutant in _guards(root, path)]


def _guards(root: Path, path: Path) -> Iterator[Mutant]:
    source = path.read_text()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            called = node.exc.func
            reason = node.exc.args[0] if node.exc.args else None
            if not (isinstance(called, ast.Name) and called.id == "Refuse"):
                continue
        elif isinstance(node, ast.Return) and path.name == "affine_steps.py":
            reason = node.value  # a near miss: the reason in place of a site
        else:
            continue
        if isinstance(reason, ast.JoinedStr) or (
            isinstance(reason, ast.Constant) and isinstance(reason.value, str)
        ):
            says = ast.unparse(reason).removeprefix("f").strip("'\"")
            yield Mutant(path.relative_to(root), node.lineno, node.end_lineno or node.lineno, says)


def copy_project(root: Path, target: Path) -> Path:
    """What the tests of the graph need, so that the mutants never touch the project.

    Compiled once for all mutants; a compiled file counts where it is of this very source.
    """
    ignored = shutil.ignore_patterns("__pycache__", ".hypothesis", ".pytest_cache")
    for name in ("un_deploy", "models", "tests"):
        shutil.copytree(root / name, target / name, ignore=ignored)
    shutil.copy(root / "pyproject.toml", target)
    checked = PycInvalidationMode.CHECKED_HASH
    compileall.compile_dir(target / "un_deploy", quiet=1, invalidation_mode=checked)
    return target


class Copy:
    """A copy of the project with a process that runs its tests."""

    def __init__(self, folder: Path) -> None:
        self.folder = copy_project(ROOT, folder)
        self._runs = subprocess.Popen(
            [sys.executable, "-m", "tests.support.forked_pytest", str(TIMEOUT)],
            cwd=self.folder,
            env={
                # Nobody else is to be given a graph that a mutant has folded.
                **{name: it for name, it in os.environ.items() if not name.startswith(KEPT)},
                "OMP_NUM_THREADS": "1",
                "PYTHONDONTWRITEBYTECODE": "",
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # longer to load than the tests to run
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def end(self) -> None:
        self._runs.communicate()

    def first_failure(self, *tests: Path) -> str:
        """The first of these tests that fails, by crashing or hanging too; else ""."""
        arguments = ["-x", "-q", "-p", "no:cacheprovider", "-m", "not slow", *map(str, tests)]
        asked, told = self._runs.stdin, self._runs.stdout
        assert asked is not None and told is not None
        print(json.dumps(arguments), file=asked, flush=True)
        code, output = json.loads(told.readline())
        if code == 0:
            return ""
        if code == -signal.SIGALRM:
            return f"{tests[0]} (it hangs)"
        named = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", output, re.MULTILINE)
        return named[1] if named else f"{tests[0]} (it crashes)"

    def caught_by(self, mutant: Mutant) -> str:
        """The test that fails for it, of its own file or else of its room; empty if none does."""
        also = (mutant.own_tests.parent / name for name in ALSO.get(mutant.file.name, ()))
        if failure := self._failure_with(mutant, mutant.own_tests, *also):
            return failure
        # Whether all in a room pass as they are is asked where they are needed alone.
        room = mutant.own_tests.parent
        if failure := self.first_failure(room):
            raise RuntimeError(f"{failure} fails without any mutant: mend that first")
        return self._failure_with(mutant, room)

    def _failure_with(self, mutant: Mutant, *tests: Path) -> str:
        """The first of these tests that fails once the guard is gone; else ""."""
        path = self.folder / mutant.file
        source = path.read_text()
        path.write_text(mutant.mutated(source))
        try:
            return self.first_failure(*tests)
        finally:
            path.write_text(source)


def main() -> int:
    mutants = find_mutants(ROOT)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(WORKERS) as pool:
        copies = [Copy(Path(folder) / str(index)) for index in range(WORKERS)]
        free: SimpleQueue[Copy] = SimpleQueue()
        for copy in copies:
            free.put(copy)
        own_tests = dict.fromkeys(mutant.own_tests for mutant in mutants)
        if failure := copies[0].first_failure(*own_tests):
            print(f"{failure} fails without any mutant: mend that first")
            return 2

        def judge(mutant: Mutant) -> str:
            copy = free.get()
            try:
                return copy.caught_by(mutant)
            finally:
                free.put(copy)

        survivors = []
        for mutant, test in zip(mutants, pool.map(judge, mutants), strict=True):
            print(f"{mutant}\n    {f'caught by {test}' if test else 'SURVIVES'}", flush=True)
            if not test:
                survivors.append(mutant)
        for copy in copies:
            copy.end()
    print(f"\n{len(mutants)} mutants, {len(survivors)} survive")
    for mutant in survivors:
        print(f"  {mutant}")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
