"""What an image must be and do. Every check says what it saw when it fails."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.images.engine import ANY_USER, LOCKED, PODMAN, ROOT, Done, run, sh

INSIDE = Path(__file__).parent / "inside"
PYTHON = "/opt/un-deploy/bin/python"

FILES = ("--ln", "ln.onnx", "--unfolded", "un.onnx", "--folded", "folded.onnx")
SIZE = ("--dim", "batch=2")
COMPARE = (
    *("compare", *FILES, *SIZE),
    *("--backend", "ort-cpu", "--threads", "1"),
)
STOPPED_WITHIN_S = 5.0
TERMINATED = 143


@dataclass
class Checks:
    """The checks of one image, counted and shown.

    Attributes:
        image: its name.
        failed: what did not hold.
    """

    image: str
    failed: list[str] = field(default_factory=list)

    def that(self, what: str, holds: bool, seen: object = "") -> None:
        """Show what was checked, and what was seen where it does not hold."""
        shown = "" if holds else f": {str(seen)[-1500:]}"
        print(f"          {'ok    ' if holds else 'FAILED'}  {what}{shown}", flush=True)
        if not holds:
            self.failed.append(f"{self.image}: {what}: {str(seen)[-300:]}")

    def ends(self, what: str, done: Done, code: int = 0, says: str = "") -> None:
        """A command ended with this exit code, and said so, without a traceback."""
        text = done.out + done.err
        right = done.code == code and says in " ".join(text.split()) and "Traceback" not in text
        self.that(what, right, f"exit code {done.code}, {text[-800:]}")


def check_settings(checks: Checks, version: str, target: str) -> None:
    """What the image says of itself."""
    config = json.loads(sh("podman", "image", "inspect", checks.image))[0]["Config"]
    labels = config["Labels"]
    user, _, group = config["User"].partition(":")
    checks.that("runs as no root", user.isdecimal() and int(user) > 0 and group == "0", user)
    for setting in (f"UN_DEPLOY_IMAGE={target}", "ORT_DISABLE_TELEMETRY=1"):
        checks.that(f"it sets {setting}", setting in config["Env"], config["Env"])
    for name in ("title", "description", "licenses", "revision", "base.name"):
        checks.that(f"label {name}", bool(labels.get(f"org.opencontainers.image.{name}")), labels)
    licences = labels.get("org.opencontainers.image.licenses", "")
    checks.that("the licence label names what is NVIDIA's", "LicenseRef-NVIDIA" in licences, labels)
    stated = labels.get("org.opencontainers.image.version")
    checks.that("label version is un-deploy's", stated == version, f"{stated}, not {version}")


def check_health(checks: Checks, facts: dict[str, Any]) -> None:
    """The image's own health check succeeds, and fails where anything that it names is empty."""
    config = json.loads(sh("podman", "image", "inspect", checks.image))[0]
    kind, *test = config.get("Healthcheck", {}).get("Test", ["NONE"])
    right = kind == "CMD" and test[:2] == ["un-deploy", "doctor"]
    checks.that("has a health check through doctor", right, (kind, test))
    if not right:
        return
    done = run(checks.image, *test[1:], entrypoint=test[0])
    checks.ends("is healthy", done, says="un-deploy")
    names = [
        *("un_deploy", "numpy", "onnx", "onnx_ir", "onnxruntime", "sympy", "jinja2", "plotly"),
        *("tritonclient", "tensorrt_rtx_bindings", "tensorrt_rtx_libs"),
    ]
    for name in names:
        package = Path(facts["library"], name)
        if name in facts["packages"]:
            hidden = (f"--tmpfs={package}:notmpcopyup",)
            done = run(checks.image, *test[1:], entrypoint=test[0], options=hidden)
            checks.that(f"is unhealthy with {name} emptied", done.code == 1, done)


def facts_of(image: str) -> dict[str, Any]:
    """What the image looks like from inside."""
    done = run(image, "/inside/facts.py", entrypoint=PYTHON, mounts={INSIDE: "/inside:ro"})
    if done.code:
        raise SystemExit(f"facts.py in {image}: {done.err}")
    facts: dict[str, Any] = json.loads(done.out)
    return facts


def check_inside(checks: Checks, facts: dict[str, Any], *, slim: bool) -> None:
    """What is in the image, and what is not."""
    installed, pinned = facts["distributions"], pins()
    checks.that("any user id runs it", facts["user"] == [ANY_USER, 0], facts["user"])
    loose = {n: v for n, v in installed.items() if n != "un-deploy" and pinned.get(n) != v}
    checks.that("every package has the pinned version", not loose, loose)
    added = [path for path in facts["installers"] if path.startswith(facts["prefix"])]
    checks.that("no installer added", not added, added)
    listed = facts["sbom"]["pypi"]
    missing = {n: v for n, v in installed.items() if listed.get(n) != v}
    right = facts["sbom"]["format"] == "CycloneDX" and not missing
    checks.that("the SBOM lists every Python package", right, missing)
    base = set(facts["system_packages"].items()) ^ set(facts["sbom"]["deb"].items())
    right = len(facts["system_packages"]) > 50 and not base
    checks.that("and the base's packages", right, sorted(base))
    second = [name for name in facts["onnxruntime_files"] if name.startswith("libonnxruntime.so")]
    checks.that("one library of ONNX Runtime", not second, second)
    checks.that("bytecode of every file", not facts["uncompiled"], facts["uncompiled"][:5])
    checks.that("no traces of the build", not facts["residues"], facts["residues"])
    if slim:
        left = facts["installers"] + facts["documents"][:5]
        checks.that("neither installers nor documentation", not left, left)
        bare = facts["uncompiled_stdlib"]
        checks.that("bytecode of the standard library", not bare, bare[:5])


def check_tensorrt(checks: Checks, facts: dict[str, Any]) -> None:
    """TensorRT is the base's, and there is no second CUDA stack."""
    place = facts["modules"]["tensorrt"] or ""
    right = place.startswith("/usr/") and "dist-packages/tensorrt/" in place
    checks.that("tensorrt is the base's", right, place)
    # nvidia-ml-py is pure Python: it asks the driver, and brings no library.
    stack = re.compile(r"nvidia-(?!ml-py$)|tensorrt|torch|cuda-|triton$")
    added = [name for name in facts["distributions"] if stack.match(name)]
    checks.that("no nvidia, tensorrt or torch wheel added", not added, added)
    checks.that(
        "trtexec is found", facts["trtexec"] == "/opt/tensorrt/bin/trtexec", facts["trtexec"]
    )
    own = facts["modules"]["onnxruntime"] or ""
    checks.that("onnxruntime is un-deploy's", own.startswith(facts["prefix"]), own)


@contextmanager
def networks(image: str, *below: str) -> Iterator[Path]:
    """A folder that everybody may write to, with un.onnx and ln.onnx in it, or below it."""
    with TemporaryDirectory() as made:
        folder = Path(made, *below)
        folder.mkdir(parents=True, exist_ok=True)
        for path in (Path(made), *Path(made).rglob("*")):
            path.chmod(0o777)
        mounts = {folder: "/work", INSIDE: "/inside:ro"}
        done = run(image, "/inside/networks.py", entrypoint=PYTHON, mounts=mounts)
        if done.code:
            raise SystemExit(f"networks.py in {image}: {done.err}")
        yield Path(made)


def check_work(checks: Checks, *, rtx: bool, more: bool) -> None:
    """Every command on a mounted folder, by a user without rights, and a full /tmp."""
    with networks(checks.image) as folder, TemporaryDirectory() as home:
        Path(home).chmod(0o777)
        mounts = {folder: "/work", Path(home): "/home/any"}

        def un_deploy(*command: str, options: Sequence[str] = ("--env=HOME=/home/any",)) -> Done:
            return run(checks.image, *command, mounts=mounts, options=options)

        done = un_deploy("fold", "un.onnx", "-o", "folded.onnx")
        checks.ends("fold", done, says="7 of 7 norms folded")
        checks.ends("verify", un_deploy("verify", "un.onnx", "folded.onnx"), says="proven")
        done = un_deploy("verify", "ln.onnx", "folded.onnx")
        checks.ends("verify tells LN from UN", done, code=3, says="not equal")
        few = ("--builds", "2", "--rounds", "4", "--sample-ms", "1")
        done = un_deploy(*COMPARE, *few, "-o", "report.json")
        checks.ends("compare", done)
        if done.code == 0:
            timed = {
                entry["kind"] for entry in json.loads((folder / "report.json").read_text())["timed"]
            }
            checks.that(
                "it timed all variants", timed == {"ln", "unfolded", "folded", "none"}, timed
            )
        full = ("--tmpfs=/tmp:rw,size=64k",)
        done = un_deploy(*COMPARE, *few, options=full)
        checks.ends("a full /tmp is told", done, code=1, says="error:")
        if not rtx:
            engines = ("--precision", "fp16", "--max-error", "0.01")
            done = un_deploy("trtexec-compare", *FILES, *SIZE, *engines, *few[:4])
            checks.ends("trtexec-compare by the base's trtexec", done, says="timed by trtexec")
        check_build(checks, un_deploy, folder, rtx=rtx)
        check_more(checks, un_deploy, folder, more=more)
        owners = {path.name: path.stat().st_uid for path in folder.iterdir()}
        owners = {name: owner for name, owner in owners.items() if owner != ANY_USER}
        checks.that("its files are the user's", not owners, owners)
        half = [path.name for path in folder.glob(".*")]
        checks.that("nothing half-made is left", not half, half)
        kept = [str(path) for path in Path(home).rglob("*")]
        checks.that("nothing is left in HOME", not kept, kept)


def check_more(checks: Checks, un_deploy: Callable[..., Done], folder: Path, *, more: bool) -> None:
    """The page and the Triton repository; without their extras they are refused, with a way."""
    page = un_deploy("report", "report.json", "-o", "report.html")
    size = ("--max-batch-size", "8")
    served = un_deploy("triton", "folded.onnx", "--repository", "models", "--name", "net", *size)
    if more:
        checks.ends("report", page)
        text = (folder / "report.html").read_text() if page.code == 0 else ""
        checks.that("the page has its plots", "Plotly.newPlot" in text, text[:80])
        checks.ends("triton", served)
        config = folder / "models" / "net" / "config.pbtxt"
        checks.that("the repository is there", config.is_file(), config)
        return
    for name, done in (("report", page), ("triton", served)):
        checks.ends(f"{name} is refused", done, code=1, says="error:")
        advice = " ".join(done.err.split())
        checks.that(
            f"{name} advises no pip, which is not there", "pip install" not in advice, advice
        )


def check_build(checks: Checks, un_deploy: Callable[..., Done], folder: Path, *, rtx: bool) -> None:
    """TensorRT-RTX builds without a GPU; TensorRT over stubs cannot, and must say so."""
    plan = ("build", "folded.onnx", "-o", "folded.plan", "--shapes", "x:2x32x96", "--flavor")
    if rtx:
        done = un_deploy(*plan, "tensorrt-rtx", "--precision", "fp16")
        checks.ends("build a TensorRT-RTX engine", done, says="asked for fp16")
        written = folder / "folded.plan"
        checks.that("the engine is there", written.is_file() and b"trt" in written.read_bytes()[:4])
    else:
        checks.ends(
            "build without a GPU is refused", un_deploy(*plan, "tensorrt"), code=1, says="error:"
        )
        checks.that("no engine is left", not (folder / "folded.plan").exists())


def check_stop(checks: Checks) -> None:
    """SIGTERM ends a running comparison at once, and nothing half-made stays."""
    with networks(checks.image) as folder:
        run(checks.image, "fold", "un.onnx", "-o", "folded.onnx", mounts={folder: "/work"})
        before = sorted(folder.iterdir())
        name = f"un-deploy-test-stop-{os.getpid()}"
        long = ("--builds", "1000", "-o", "report.json")
        sh(
            *(*PODMAN, "run", "--detach", f"--name={name}", *LOCKED, f"--volume={folder}:/work"),
            *(checks.image, *COMPARE, *long),
        )
        try:
            timing = _until(
                lambda: "un_deploy.measure.speed.timing_process" in sh(*PODMAN, "top", name, "args")
            )
            begin = time.monotonic()
            subprocess.run([*PODMAN, "stop", "--time=30", name], capture_output=True)
            took = time.monotonic() - begin
            code = sh("podman", "inspect", "--format={{.State.ExitCode}}", name)
        finally:
            subprocess.run([*PODMAN, "rm", "--force", name], capture_output=True)
        checks.that("a comparison was running", timing)
        checks.that("SIGTERM stops it", took < STOPPED_WITHIN_S, f"after {took:.1f} s")
        checks.that(f"with {TERMINATED}", code == str(TERMINATED), code)
        left = sorted(folder.iterdir())
        checks.that("and leaves nothing", left == before, left)


def _until(reached: Callable[[], bool], within_s: float = 60.0) -> bool:
    """Whether something came true in time."""
    end = time.monotonic() + within_s
    while not (there := reached()) and time.monotonic() < end:
        time.sleep(0.1)
    return there


def pins() -> dict[str, str]:
    """The exact versions of both constraint files, names as PyPI compares them."""
    files = (ROOT / "constraints.txt", ROOT / "docker" / "constraints.txt")
    lines = [line.split("#")[0].strip() for file in files for line in file.read_text().splitlines()]
    pairs = (line.split("==") for line in lines if line)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in pairs}
