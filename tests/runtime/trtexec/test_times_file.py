"""The times file, read and written."""

from __future__ import annotations

import json

import pytest

from un_deploy.errors import InputError
from un_deploy.runtime.trtexec.times_file import Inference, parse_times, write_times

FILE = """[
  { "startEnqMs" : 200.07, "endEnqMs" : 200.09, "startH2dMs" : 200.1, "endH2dMs" : 200.15, \
"startComputeMs" : 200.15, "endComputeMs" : 200.66, "startD2hMs" : 200.66, "endD2hMs" : 200.68, \
"h2dMs" : 0.0500031, "computeMs" : 0.512024, "d2hMs" : 0.0249939, "latencyMs" : 0.587021 }
, { "startEnqMs" : 200.1, "endEnqMs" : 200.12, "startH2dMs" : 200.15, "endH2dMs" : 200.15, \
"startComputeMs" : 200.66, "endComputeMs" : 201.17, "startD2hMs" : 201.17, "endD2hMs" : 201.17, \
"h2dMs" : 0, "computeMs" : 5.00679e-03, "d2hMs" : 0, "latencyMs" : 5.00679e-03 }
]
"""


def test_milliseconds_become_seconds() -> None:
    times = parse_times(FILE)
    assert times.compute_s == pytest.approx((0.512024e-3, 5.00679e-6), rel=4e-16)
    first = times.inferences[0]
    assert (first.h2d_s, first.d2h_s) == pytest.approx((0.0500031e-3, 0.0249939e-3), rel=4e-16)
    assert first.start_s == pytest.approx(0.20015, rel=4e-16)
    assert first.enqueue_s == pytest.approx(0.02e-3, rel=1e-9)
    assert first.latency_s == pytest.approx(0.587021e-3, rel=1e-5)


def test_a_time_is_that_of_the_file_and_no_difference_of_rounded_stamps() -> None:
    """After three seconds a stamp of six digits counts in hundredths of a millisecond."""
    text = FILE.replace("200.15", "3200.15").replace("200.66", "3200.66")
    assert parse_times(text).compute_s[0] == pytest.approx(0.512024e-3, rel=4e-16)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (FILE, "[\n]\n", "the times hold no inference"),
        (FILE, "{}", "the times hold no inference"),
        (FILE, "", "the times are not JSON"),
        (FILE, FILE[:300], "the times are not JSON"),
        ("0.512024", "nan", "the times are not JSON"),
        ("0.512024", "NaN", "not JSON: NaN is no number"),
        ("0.512024", "1e999", "inference 0 of the times has the computeMs inf"),
        ("0.512024", '"0.5"', "inference 0 of the times has no computeMs"),
        ("0.512024", "-0.5", "inference 0 of the times has the computeMs -0.5"),
        ("0.512024", "0", "inference 0 of the times has the computeMs 0"),
        ('"computeMs" : 5.00679e-03, ', "", "inference 1 of the times has no computeMs"),
        ('"startComputeMs" : 200.66, ', "", "inference 1 of the times has no startComputeMs"),
    ],
)
def test_what_is_missing_or_no_time_is_refused(old: str, new: str, message: str) -> None:
    assert old in FILE
    with pytest.raises(InputError, match=message):
        parse_times(FILE.replace(old, new))


def test_what_is_written_is_read_again() -> None:
    inferences = (
        Inference(0.5e-3, h2d_s=2e-5, d2h_s=1e-5, enqueue_s=3e-6, start_s=0.21),
        Inference(1 / 3e3),
    )
    text = write_times(inferences)
    assert text.startswith('[\n  {"startEnqMs"')
    read = parse_times(text).inferences
    for ours, found in zip(inferences, read, strict=True):
        # Products and quotients by 1,000 round once each; enqueueing is a difference at 0.2 s.
        assert found.compute_s == pytest.approx(ours.compute_s, rel=4e-16)
        assert found.latency_s == pytest.approx(ours.latency_s, rel=1e-15)
        assert found.start_s == pytest.approx(ours.start_s, rel=4e-16)
        assert found.enqueue_s == pytest.approx(ours.enqueue_s, abs=2 * 0.21 * 2**-52)


def test_written_stamps_follow_one_another() -> None:
    (entry,) = json.loads(write_times([Inference(0.5, h2d_s=0.25, d2h_s=0.125, start_s=1)]))
    assert entry == {
        "startEnqMs": 750,
        "endEnqMs": 750,
        "startH2dMs": 750,
        "endH2dMs": 1000,
        "startComputeMs": 1000,
        "endComputeMs": 1500,
        "startD2hMs": 1500,
        "endD2hMs": 1625,
        "h2dMs": 250,
        "computeMs": 500,
        "d2hMs": 125,
        "latencyMs": 875,
    }


def test_nothing_is_not_written() -> None:
    with pytest.raises(InputError, match="there is no inference to write"):
        write_times([])
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_times([Inference(float("nan"))])
