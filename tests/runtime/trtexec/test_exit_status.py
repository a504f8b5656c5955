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


def test_the_last_verdict_counts_and_what_says_only_that_it_failed_is_no_reason() -> None:
    said = read_log(LOG.splitlines(keepends=True))
    assert said == Said(
        "FAILED",
        ("[TRT] the cause", "Engine set up failed"),
        ("--plugins flag has been deprecated",),
    )
    assert judge(1, said) == (Status.FAILED, "exit code 1: [TRT] the cause")


def test_of_many_errors_only_the_last_are_kept() -> None:
    said = read_log(line("E", str(number)) for number in range(10_000))
    assert said.errors == tuple(map(str, range(9_980, 10_000)))
    assert said.reason == "9997; 9998; 9999"


def line(level: str, text: str) -> str:
    return f"[01/31/2026-10:00:00] [{level}] {text}\n"


PARSER = (
    "[TRT] ModelImporter.cpp:951: While parsing node number 12 [LayerNormalization -> ln]:",
    "[TRT] ModelImporter.cpp:953: --- Begin node ---",
    "[TRT] ModelImporter.cpp:957: --- End node ---",
    "[TRT] ModelImporter.cpp:960: ERROR: In function importFallbackPluginImporter: no plugin",
    "Failed to parse onnx file",
    "Parsing model failed",
    "Failed to create engine from model or file.",
    "Engine set up failed",
)


def test_the_reason_is_the_last_that_tells_something() -> None:
    """Of the parser, of the builder, and where nothing is said but that it failed."""
    said = read_log(line("E", text) for text in PARSER)
    assert said.reason.endswith("ERROR: In function importFallbackPluginImporter: no plugin")
    assert "node number 12" in said.reason
    assert "---" not in said.reason and "failed" not in said.reason
    builder = "Error Code 10: Could not find any implementation for node {ForeignNode[ln]}."
    said = read_log([line("E", builder), line("E", "Engine could not be created from network")])
    assert judge(1, said)[1] == f"exit code 1: {builder}"
    assert read_log([line("E", "Engine set up failed")]).reason == "Engine set up failed"


@pytest.mark.parametrize(
    "text",
    [
        "The CUDA graph capture on the stream has failed.",
        "The specified --useCudaGraph flag has been ignored.",
        "The built-in TensorRT engine will be executed without CUDA graph.",
        "Failed to capture CUDA graph for the current execution context",
    ],
)
@pytest.mark.parametrize("before", [0, 5_000])
def test_a_graph_that_was_not_captured_is_seen_wherever_it_stands(text: str, before: int) -> None:
    said = read_log(line("W", text_) for text_ in (*map("layer {}".format, range(before)), text))
    assert said.without_graph
    assert said.warnings[-1] == text


def test_other_warnings_are_of_no_graph() -> None:
    hint = "If not already in use, --useCudaGraph (utilize CUDA graphs where possible) may help."
    assert not read_log([line("W", hint), line("I", "CUDA Graph: failed")]).without_graph


def test_doubts_of_the_times_and_warnings_once() -> None:
    unstable = "* GPU compute time is unstable, with coefficient of variance = {}%."
    bound = "* Throughput may be bound by Enqueue Time rather than GPU Compute."
    texts = (unstable.format(23.1), bound, unstable.format(4.25))
    said = read_log(line("W", text) for text in texts)
    assert said.doubts == ("unstable", "bound by enqueue time")
    assert said.warnings == (unstable.format(23.1)[2:], bound[2:])


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
