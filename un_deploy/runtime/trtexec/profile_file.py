"""trtexec's profile (``--exportProfile``): the time of each layer over all iterations.

The form is that of Profiler::exportJSONProfile in NVIDIA's samples/common/sampleReporting.cpp, the
same in 10 and 11:

    [
      { "count" : 40 }
    , { "name" : "a", "timeMs" : 4.8, "averageMs" : 0.12, "medianMs" : 0.11, "percentage" : 60 }
    ]

It looks like JSON and is not: names stand as they are, with quotes and backslashes, and the
average of a layer that never ran is printed as nan. Names can repeat. So a file of trtexec's is
read line by line. A file written here is JSON in the same form, and says so in its first entry:
without that, nothing tells a backslash of a name from one of JSON.
"""

from __future__ import annotations

import json
import math
import re
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from un_deploy.engines.nvidia_json import parse_json
from un_deploy.errors import InputError

_ESCAPED = "namesEscaped"
"""The key of the first entry by which a file says that its names are JSON strings."""

_COUNT = re.compile(r'\s*\{ "count" : (\d+) \}\s*')
_NUMBER = r"([-+]?(?:nan(?:\(\w*\))?|inf|[\d.]+(?:[eE][-+]?\d+)?))"
# Whatever a name holds, it ends where nothing but the numbers follows to the end of the entry.
_LAYER = re.compile(
    rf', \{{ "name" : "(.*)", "timeMs" : {_NUMBER}, "averageMs" : {_NUMBER}, '
    rf'"medianMs" : {_NUMBER}, "percentage" : {_NUMBER} \}}\s*',
    re.DOTALL,
)


@dataclass(frozen=True)
class LayerTime:
    """The time of a layer over all iterations, and of one, None where it never ran.

    Several layers may have the same name.
    """

    name: str
    total_s: float
    average_s: float | None
    median_s: float | None


@dataclass(frozen=True)
class Profile:
    """The layers in the order in which they run, and how many iterations were profiled."""

    iterations: int
    layers: tuple[LayerTime, ...]


def parse_profile(text: str) -> Profile:
    """Read the file, trtexec's own or one of `write_profile`.

    Raises:
        InputError: it is not in this form, or a layer's time is missing, not finite or negative.
    """
    lines = text.split("\n")  # not splitlines: a name may hold what Unicode calls a line's end
    while lines and not lines[-1].strip():
        lines.pop()
    if len(lines) < 2 or lines[0].strip() != "[" or lines[-1].strip() != "]":
        raise InputError("the profile does not begin with [ and end with ]: it may be cut off")
    if f'"{_ESCAPED}"' in lines[1]:
        return _parse_json(text)
    count = _COUNT.fullmatch(lines[1])
    if count is None:
        raise InputError('the profile does not begin with its "count"')
    layers, entry = [], ""
    for line in lines[2:-1]:
        # An entry takes several lines where its name does.
        entry = f"{entry}\n{line}" if entry else line
        if match := _LAYER.fullmatch(entry):
            layers.append(_layer(match[1], *map(_number, match.groups()[1:4])))
            entry = ""
    if entry:
        raise InputError(f"the profile has no layer in its form at: {entry.splitlines()[0][:80]}")
    return Profile(int(count[1]), tuple(layers))


def write_profile(layers: Iterable[tuple[str, Sequence[float]]]) -> str:
    """The file's text for layers timed in another way: names, and seconds in each iteration.

    Raises:
        InputError: a layer has more or fewer iterations than another.
    """
    found = list(layers)
    counts = {len(seconds) for _, seconds in found}
    if len(counts) > 1:
        raise InputError(f"layers have different numbers of iterations: {sorted(counts)}")
    total = math.fsum(second for _, seconds in found for second in seconds)
    entries: list[dict[str, object]] = [{"count": max(counts, default=0), _ESCAPED: True}]
    for name, seconds in found:
        took = math.fsum(seconds)
        entries.append(
            {
                "name": name,
                "timeMs": 1e3 * took,
                "averageMs": 1e3 * took / len(seconds) if seconds else None,
                "medianMs": 1e3 * statistics.median(seconds) if seconds else None,
                "percentage": 100 * took / total if total else 0.0,
            }
        )
    return "[\n  " + "\n, ".join(_one_line(entry) for entry in entries) + "\n]\n"


def _one_line(entry: dict[str, object]) -> str:
    inner = json.dumps(entry, allow_nan=False, separators=(", ", " : "))
    return f"{{ {inner[1:-1]} }}"


def _parse_json(text: str) -> Profile:
    entries = parse_json(text, "profile's entries")
    try:
        layers = tuple(
            _layer(str(entry["name"]), entry["timeMs"], entry["averageMs"], entry["medianMs"])
            for entry in entries[1:]
        )
        return Profile(int(entries[0]["count"]), layers)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"the profile has an entry without {error}") from error


def _number(text: str) -> float | None:
    value = float(re.sub(r"\(.*", "", text))
    return None if math.isnan(value) else value


def _layer(
    name: str, total: float | None, average: float | None, median: float | None
) -> LayerTime:
    def seconds(milliseconds: float) -> float:
        if not 0 <= milliseconds < math.inf:
            raise InputError(f"the profile gives layer {name} {milliseconds} ms")
        return milliseconds / 1e3

    if total is None:
        raise InputError(f"the profile gives layer {name} no time")
    if average is None or median is None:  # trtexec prints nan for the one, 0 for the other
        return LayerTime(name, seconds(total), None, None)
    return LayerTime(name, seconds(total), seconds(average), seconds(median))
