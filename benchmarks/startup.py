"""What `un-deploy --help` costs, against a Python that does nothing.

    python -m benchmarks.startup

Both are started in fresh processes, in turn, so that what else the machine does hits both alike.
The medians go to benchmarks/results/startup.json; the exit code is 1 if the help takes 0.2 s.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from un_deploy.measure.speed.environment import environment

LIMIT_S = 0.2
RUNS = 31
RESULT = Path(__file__).parent / "results" / "startup.json"
COMMANDS = {
    "un-deploy --help": [sys.executable, "-m", "un_deploy", "--help"],
    "python -c pass": [sys.executable, "-c", "pass"],
}


def seconds(command: list[str]) -> float:
    """Wall-clock time of one fresh process."""
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def main() -> int:
    """Measure, write the result, and say whether the limit is kept."""
    for command in COMMANDS.values():
        seconds(command)  # the first start compiles to bytecode and fills the page cache
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(RUNS):
        for name, command in COMMANDS.items():
            times[name].append(seconds(command))
    medians = {name: round(statistics.median(taken), 4) for name, taken in times.items()}
    result = {
        "environment": environment(),
        "runs": RUNS,
        "median_s": medians,
        "min_s": {name: round(min(taken), 4) for name, taken in times.items()},
        "max_s": {name: round(max(taken), 4) for name, taken in times.items()},
        "limit_s": LIMIT_S,
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    for name, median in medians.items():
        print(f"{name:20} {median * 1000:6.0f} ms")
    return int(medians["un-deploy --help"] >= LIMIT_S)


if __name__ == "__main__":
    sys.exit(main())
