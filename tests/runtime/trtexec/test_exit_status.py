"""What exit code and log say together: only 0 with PASSED is passed."""

from __future__ import annotations

import pytest

from un_deploy.runtime.trtexec.exit_status import Said, Status, judge, read_log

LOG = """\
&&&& RUNNING TensorRT.trtexec [TensorRT v101602] [b10] # trtexec --onnx=a.onnx
[01/31/2026-10:00:00] [I] === Model Options ===
[01/31/2026-10:00:00] [W] --plugins flag has been deprecated
[01/31/2026-10:00:01] [E] [TRT] the cause
a line of a plugin that says &&&& PASSED
[01/31/2026-10:00:01] [E] Engine set up failed
&&&& FAILED TensorRT.trtexec [TensorRT v101602] [b10] # trtexec --onnx=a.onnx
"""


def test_the_last_verdict_counts_and_the_first_error_is_the_reason() -> None:
    said = read_log(LOG.splitlines(keepends=True))
    assert said == Said(
        "FAILED",
        ("[TRT] the cause", "Engine set up failed"),
        ("--plugins flag has been deprecated",),
    )
    assert judge(1, said) == (Status.FAILED, "exit code 1: [TRT] the cause")


def test_of_many_errors_only_the_first_are_kept() -> None:
    said = read_log(f"[01/31/2026-10:00:00] [E] {number}\n" for number in range(10_000))
    assert said.errors == tuple(map(str, range(20)))


@pytest.mark.parametrize(
    ("exit_code", "verdict", "status"),
    [
        (0, "PASSED", Status.PASSED),
        (0, "FAILED", Status.FAILED),
        (0, "WAIVED", Status.FAILED),
        (0, "RUNNING", Status.UNREADABLE),
        (0, None, Status.UNREADABLE),
        (1, "PASSED", Status.FAILED),
        (1, None, Status.FAILED),
        (255, "RUNNING", Status.FAILED),
        (127, None, Status.COULD_NOT_RUN),
        (126, None, Status.COULD_NOT_RUN),
        (127, "RUNNING", Status.FAILED),
        (-6, "PASSED", Status.CRASHED),
        (128 + 11, "RUNNING", Status.CRASHED),
        (None, "PASSED", Status.TIMED_OUT),
    ],
)
def test_only_one_combination_passes(
    exit_code: int | None, verdict: str | None, status: Status
) -> None:
    found, reason = judge(exit_code, Said(verdict, (), ()))
    assert found is status
    assert bool(reason) == (status is not Status.PASSED)


def test_a_signal_is_named_also_of_a_shell_around_trtexec() -> None:
    assert judge(-11, Said("RUNNING", (), ()))[1] == "ended by SIGSEGV"
    assert judge(128 + 9, Said("RUNNING", (), ()))[1] == "ended by SIGKILL"
