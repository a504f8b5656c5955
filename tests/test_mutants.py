"""No guard of the rewriter can be taken away without a test noticing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants import ROOT, Mutant, find_mutants, main


@pytest.mark.slow
def test_every_guard_has_a_test() -> None:
    assert main() == 0


def test_every_guard_is_found() -> None:
    mutants = find_mutants(ROOT)
    sources = {mutant.file: (ROOT / mutant.file).read_text() for mutant in mutants}
    for path in sorted((ROOT / "un_deploy/graph").rglob("*.py")):
        source = path.read_text()
        if "raise Refuse" in source:
            found = [m for m in mutants if m.file == path.relative_to(ROOT)]
            assert len(found) >= source.count("raise Refuse"), path
    for mutant in mutants:
        assert (ROOT / mutant.own_tests).exists()
        compile(mutant.mutated(sources[mutant.file]), str(mutant.file), "exec")


def test_a_guard_becomes_a_pass() -> None:
    mutant = Mutant(Path("un_deploy/graph/x.py"), 2, 4, "no")
    source = 'if bad:\n    raise Refuse(\n        "no"\n    )\nreturn ()\n'
    assert mutant.mutated(source) == "if bad:\n    pass\nreturn ()\n"
