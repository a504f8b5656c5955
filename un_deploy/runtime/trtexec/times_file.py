"""trtexec's times (``--exportTimes``): one entry for each inference after the warm-up.

The form is that of exportJSONTrace in NVIDIA's samples/common/sampleReporting.cpp, the same in 10
and 11: an array of objects of milliseconds, each a 32-bit float printed with six digits.

    [
      { "startEnqMs" : 200.1, "endEnqMs" : 200.2, ..., "h2dMs" : 0, "computeMs" : 0.51, ... }
    , { ... }
    ]
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from un_deploy.engines.nvidia_json import parse_json
from un_deploy.errors import InputError


@dataclass(frozen=True)
class Inference:
    """One inference, in seconds.

    Attributes:
        compute_s: from the first kernel to the end of the last, on the device.
        h2d_s, d2h_s: copying inputs to the device and outputs back; 0 without transfers.
        enqueue_s: the host's time for enqueueing. trtexec writes no such number, so it is the
            difference of two stamps that are rounded to six digits.
        start_s: when the device began to compute, since timing began.
    """

    compute_s: float
    h2d_s: float = 0.0
    d2h_s: float = 0.0
    enqueue_s: float = 0.0
    start_s: float = 0.0

    @property
    def latency_s(self) -> float:
        """Copying in, computing, copying out."""
        return self.h2d_s + self.compute_s + self.d2h_s


@dataclass(frozen=True)
class Times:
    """All inferences of a run, in their order; at least one."""

    inferences: tuple[Inference, ...]

    @property
    def compute_s(self) -> tuple[float, ...]:
        """Seconds on the device, one number for each inference."""
        return tuple(inference.compute_s for inference in self.inferences)


def parse_times(text: str) -> Times:
    """Read the file.

    Raises:
        InputError: it is not in this form, has no inference, or one of them has no time, a time
            that is not finite or negative, or took no time at all.
    """
    entries = parse_json(text, "times")
    if not isinstance(entries, list) or not entries:
        raise InputError("the times hold no inference")
    return Times(tuple(_inference(entry, number) for number, entry in enumerate(entries)))


def write_times(inferences: Iterable[Inference]) -> str:
    """The file's text for inferences timed in another way.

    Copying in ends where computing starts, copying out starts where it ends, and enqueueing
    starts with copying in.

    Raises:
        InputError: there is none.
    """
    lines = [json.dumps(_entry(inference), allow_nan=False) for inference in inferences]
    if not lines:
        raise InputError("there is no inference to write")
    return "[\n  " + "\n, ".join(lines) + "\n]\n"


def _inference(entry: Any, number: int) -> Inference:
    def seconds(key: str) -> float:
        value = entry.get(key) if isinstance(entry, dict) else None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InputError(f"inference {number} of the times has no {key}")
        if not math.isfinite(value):
            raise InputError(f"inference {number} of the times has the {key} {value}")
        return value / 1e3

    lasting = {key: seconds(key) for key in ("computeMs", "h2dMs", "d2hMs")}
    for key, value in lasting.items():
        if value < 0 or (value == 0 and key == "computeMs"):
            raise InputError(f"inference {number} of the times has the {key} {1e3 * value:g}")
    return Inference(
        compute_s=lasting["computeMs"],
        h2d_s=lasting["h2dMs"],
        d2h_s=lasting["d2hMs"],
        enqueue_s=seconds("endEnqMs") - seconds("startEnqMs"),
        start_s=seconds("startComputeMs"),
    )


def _entry(one: Inference) -> dict[str, float]:
    begin, end = one.start_s - one.h2d_s, one.start_s + one.compute_s
    seconds = {
        "startEnqMs": begin,
        "endEnqMs": begin + one.enqueue_s,
        "startH2dMs": begin,
        "endH2dMs": one.start_s,
        "startComputeMs": one.start_s,
        "endComputeMs": end,
        "startD2hMs": end,
        "endD2hMs": end + one.d2h_s,
        "h2dMs": one.h2d_s,
        "computeMs": one.compute_s,
        "d2hMs": one.d2h_s,
        "latencyMs": one.latency_s,
    }
    return {key: 1e3 * value for key, value in seconds.items()}
