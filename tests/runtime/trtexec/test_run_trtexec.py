"""A run of trtexec: what it is told, what is read, how it can end."""

from __future__ import annotations

import _thread
import fcntl
import json
import signal
import threading
import time
from pathlib import Path

import pytest

from tests.runtime.trtexec.conftest import VERSIONS, Make, executable
from tests.support.doubles.trtexec_double import NAMES
from un_deploy.errors import InputError, TargetError
from un_deploy.runtime.trtexec import Settings, Status, Trtexec
from un_deploy.runtime.trtexec.flags import DEFAULTS

BOTH = pytest.mark.parametrize("major", VERSIONS)


@BOTH
def test_a_run_that_passes(make: Make, onnx: Path, out: Path, major: int) -> None:
    result = make(major).run(
        out,
        onnx=onnx,
        flags=["--profilingVerbosity=detailed", "--iterations=3"],
        profile=True,
        layers=True,
    )
    assert (result.status, result.reason, result.exit_code) == (Status.PASSED, "", 0)
    assert result.trtexec == {10: "10.16.2", 11: "11.4.0"}[major]
    assert result.compute_s == pytest.approx((0.5e-3, 0.500977e-3, 0.501953e-3), rel=1e-12)
    assert result.profile is not None
    assert [layer.name for layer in result.profile.layers] == [*NAMES, "never runs"]
    assert result.layers is not None
    assert [layer.name for layer in result.layers.layers] == NAMES
    assert result.log == out / "trtexec.log"
    assert "&&&& PASSED" in result.log.read_text()


@BOTH
@pytest.mark.parametrize("settings", [*DEFAULTS.values(), Settings(False, False, True, True)])
def test_every_version_times_as_it_is_told(
    make: Make, onnx: Path, out: Path, major: int, settings: Settings
) -> None:
    if major == 11 and not settings.separate_profile_run:
        with pytest.raises(InputError, match="trtexec 11 always profiles in a separate run"):
            make(major, settings=settings).run(out, onnx=onnx)
        return
    result = make(major, settings=settings).run(out, onnx=onnx)
    assert result.settings == settings
    assert result.times is not None
    copied = {inference.h2d_s for inference in result.times.inferences}
    assert copied == ({0.05e-3} if settings.transfers else {0.0})
    told = f"spin-wait: {settings.spin_wait}, CUDA graph: {settings.cuda_graph}"
    assert told in (out / "trtexec.log").read_text()


@pytest.mark.parametrize(
    ("mode", "status", "reason"),
    [
        ("fail", Status.FAILED, "exit code 1: [TRT] ModelImporter.cpp:125: No importer"),
        ("passed-but-1", Status.FAILED, "exit code 1"),
        ("waive", Status.FAILED, "exit code 0, but it says WAIVED"),
        ("silent", Status.UNREADABLE, "exit code 0, but it says neither PASSED nor FAILED"),
        ("crash", Status.CRASHED, "ended by SIGSEGV"),
        ("no-files", Status.UNREADABLE, "it wrote no times.json"),
        ("cut", Status.UNREADABLE, "times.json: the times are not JSON"),
    ],
)
@BOTH
def test_what_does_not_pass_has_no_numbers(
    make: Make, onnx: Path, out: Path, major: int, mode: str, status: Status, reason: str
) -> None:
    result = make(major, mode).run(out, onnx=onnx, profile=True, layers=True)
    assert result.status is status
    assert result.reason.startswith(reason)
    assert (result.times, result.profile, result.layers) == (None, None, None)
    with pytest.raises(InputError, match=rf"^trtexec {status.value}: .*trtexec\.log"):
        _ = result.compute_s


@pytest.mark.parametrize(
    ("mode", "reason"),
    [("garbage", "says no version of TensorRT"), ("no-library", "libnvinfer.so.10")],
)
def test_what_says_no_version_could_not_run(
    make: Make, onnx: Path, out: Path, mode: str, reason: str
) -> None:
    result = make(mode=mode).run(out, onnx=onnx)
    assert result.status is Status.COULD_NOT_RUN
    assert reason in result.reason
    with pytest.raises(InputError, match=r"^trtexec could not run: "):
        result.require_passed()


def test_garbage_after_a_version(make: Make, onnx: Path, out: Path, tmp_path: Path) -> None:
    good, bad = make().path, make(mode="garbage").path
    mixed = f'if [ "$1" = --help ]; then exec {good} "$@"; fi; exec {bad} "$@"'
    result = Trtexec(executable(tmp_path / "mixed", mixed)).run(out, onnx=onnx)
    assert result.status is Status.UNREADABLE
    assert result.reason == "exit code 0, but it says neither PASSED nor FAILED"


def test_a_binary_that_is_not_there(onnx: Path, out: Path, tmp_path: Path) -> None:
    result = Trtexec(tmp_path / "absent").run(out, onnx=onnx)
    assert result.status is Status.COULD_NOT_RUN
    assert "absent is no executable file" in result.reason
    assert result.log is None


def test_a_version_with_unknown_defaults(onnx: Path, out: Path, tmp_path: Path) -> None:
    line = "echo '&&&& RUNNING TensorRT.trtexec [TensorRT v120000] # trtexec'"
    result = Trtexec(executable(tmp_path / "twelve", line)).run(out, onnx=onnx)
    assert result.status is Status.COULD_NOT_RUN
    assert result.reason.startswith("trtexec 12 is not known")


def test_when_time_is_up_the_whole_group_is_killed(
    make: Make, onnx: Path, out: Path, tmp_path: Path
) -> None:
    result = make(mode="hang").run(out, onnx=onnx, timeout_s=2)
    assert result.status is Status.TIMED_OUT
    assert result.reason == "killed since it did not end within 2 s"
    assert result.exit_code is None
    assert_unlocked(tmp_path / "lock")


def test_an_interruption_kills_the_whole_group(
    make: Make, onnx: Path, out: Path, tmp_path: Path
) -> None:
    lock = tmp_path / "lock"

    def interrupt() -> None:
        while not (lock.exists() and lock.read_text()):
            time.sleep(0.01)
        _thread.interrupt_main()

    trtexec = make(mode="hang")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's & ignores it
    try:
        threading.Thread(target=interrupt, daemon=True).start()
        with pytest.raises(KeyboardInterrupt):
            trtexec.run(out, onnx=onnx, save_engine=tmp_path / "model.plan", timeout_s=60)
    finally:
        signal.signal(signal.SIGINT, before)
    assert_unlocked(lock)
    assert not (tmp_path / "model.plan").exists()


def assert_unlocked(lock: Path) -> None:
    """Neither the double nor its child is there any more: a dead process holds no lock."""
    assert lock.read_text() == "locked"
    with lock.open() as file:
        for _ in range(500):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                time.sleep(0.01)
    raise AssertionError("a child of trtexec outlived it")


def test_files_of_an_earlier_run_are_not_read(make: Make, onnx: Path, out: Path) -> None:
    make().run(out, onnx=onnx).require_passed()
    with pytest.raises(TargetError, match=r"trtexec\.log exists already"):
        make().run(out, onnx=onnx)
    result = make(mode="no-files").run(out, onnx=onnx, force=True)
    assert (result.status, result.reason) == (Status.UNREADABLE, "it wrote no times.json")


@pytest.mark.parametrize("mode", ["fail", "cut"])
def test_an_engine_is_kept_only_of_a_run_that_passes(
    make: Make, onnx: Path, out: Path, mode: str
) -> None:
    plan = out / "model.plan"
    plan.write_text("old")
    make(mode=mode).run(out, onnx=onnx, save_engine=plan, force=True)
    assert plan.read_text() == "old"
    built = make().run(out, onnx=onnx, save_engine=plan, force=True).require_passed()
    assert plan.read_bytes() == b"ftrt plan"
    assert built.command[-1] == f"--saveEngine={plan}"
    loaded = make().run(out, engine=plan, force=True)
    assert loaded.command[1] == f"--loadEngine={plan}"
    assert len(loaded.compute_s) == 10


def test_building_without_timing(make: Make, onnx: Path, out: Path) -> None:
    plan = out / "model.plan"
    result = make().run(
        out, onnx=onnx, save_engine=plan, flags=["--skipInference"], profile=True, layers=True
    )
    assert result.status is Status.PASSED
    assert (result.times, result.profile) == (None, None)
    assert result.layers is not None
    with pytest.raises(InputError, match="told to skip inference"):
        _ = result.compute_s


def test_a_passed_run_without_the_engine_asked_for(make: Make, onnx: Path, out: Path) -> None:
    result = make(mode="no-files").run(
        out, onnx=onnx, save_engine=out / "model.plan", flags=["--skipInference"]
    )
    assert (result.status, result.reason) == (Status.UNREADABLE, "it wrote no engine")


def test_a_profiler_in_the_run_that_is_timed_leaves_10_without_times(
    make: Make, onnx: Path, out: Path
) -> None:
    flags = ["--dumpProfile"]
    result = make(10, settings=DEFAULTS[10]).run(out, onnx=onnx, flags=flags)
    assert (result.status, result.reason) == (Status.UNREADABLE, "it wrote no times.json")
    assert make(10).run(out, onnx=onnx, flags=flags, force=True).status is Status.PASSED
    assert make(11).run(out, onnx=onnx, flags=flags, force=True).status is Status.PASSED


def test_unknown_flags_are_trtexecs_own_affair(make: Make, onnx: Path, out: Path) -> None:
    result = make().run(out, onnx=onnx, flags=["--fromTheFuture=1"])
    assert result.command[-1] == "--fromTheFuture=1"
    assert result.status is Status.FAILED
    assert result.reason == "exit code 1: Unknown option: --fromTheFuture"


def test_a_flag_that_this_version_does_not_have_starts_nothing(
    make: Make, onnx: Path, out: Path
) -> None:
    with pytest.raises(InputError, match=r"^trtexec 11 has no --fp16: convert the ONNX file"):
        make(11).run(out, onnx=onnx, flags=["--fp16"])
    assert list(out.iterdir()) == []
    assert make(10).run(out, onnx=onnx, flags=["--fp16"]).status is Status.PASSED


def test_names_in_another_encoding_are_read_and_told_apart(
    make: Make, onnx: Path, out: Path
) -> None:
    profile = make(mode="latin-1").run(out, onnx=onnx, profile=True).require_passed().profile
    assert profile is not None
    assert profile.layers[2].name == "\\xe9 ends with a backslash\\"


def test_a_graph_that_is_not_captured_is_told(make: Make, onnx: Path, out: Path) -> None:
    result = make(mode="no-graph").run(out, onnx=onnx).require_passed()
    assert result.warnings == ("The specified --useCudaGraph flag has been ignored.",)


def test_wrong_questions(make: Make, onnx: Path, out: Path) -> None:
    trtexec = make()
    with pytest.raises(InputError, match="either an ONNX file or an engine"):
        trtexec.run(out)
    with pytest.raises(InputError, match="either an ONNX file or an engine"):
        trtexec.run(out, onnx=onnx, engine=onnx)
    with pytest.raises(InputError, match="save_engine needs onnx"):
        trtexec.run(out, engine=onnx, save_engine=out / "model.plan")
    with pytest.raises(InputError, match=r"there is no file .*absent\.onnx"):
        trtexec.run(out, onnx=out / "absent.onnx")
    with pytest.raises(TargetError, match="does not exist: create it first"):
        trtexec.run(out / "absent", onnx=onnx)
    with pytest.raises(InputError, match=r"a profile needs settings\.separate_profile_run"):
        make(settings=DEFAULTS[10]).run(out, onnx=onnx, profile=True)


def test_a_result_survives_json(make: Make, onnx: Path, out: Path) -> None:
    result = make(11).run(out, onnx=onnx, flags=["--warmUp=0"], profile=True, layers=True)
    found = json.loads(json.dumps(result.to_dict()))
    assert found["version"] == 1
    assert found["status"] == "passed"
    assert found["trtexec"] == "11.4.0"
    assert found["settings"] == {
        "transfers": False,
        "spin_wait": True,
        "cuda_graph": True,
        "separate_profile_run": True,
    }
    assert found["measuring"]["--warmUp"] == "0"
    assert found["measuring"]["--duration"] == "3"
    assert found["command"][1] == f"--onnx={onnx}"
    assert [one["compute_s"] for one in found["times"]["inferences"]] == list(result.compute_s)
