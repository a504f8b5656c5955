"""CPUs that a process may use, read from made trees of control groups, and what follows them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.made_groups import HYBRID, V1, V2, made_groups
from un_deploy import control_groups, cpus
from un_deploy.cpus import Throttled, cpu_quota, limit_threads, limited_threads, throttled
from un_deploy.measure.speed.environment import environment, run_and_check_quota

ROOT = Path(__file__).parents[1]


def v1(folder: str, quota: int, period: int = 100_000) -> dict[str, str]:
    return {
        f"{folder}/cpu.cfs_quota_us": f"{quota}\n",
        f"{folder}/cpu.cfs_period_us": f"{period}\n",
    }


TREES: dict[str, tuple[str, dict[str, str], float | None]] = {
    "version 2": (V2.format("/"), {"cpu.max": "150000 100000\n"}, 1.5),
    "version 2, no limit": (V2.format("/"), {"cpu.max": "max 100000\n"}, None),
    "version 2, another period": (V2.format("/"), {"cpu.max": "30000 10000\n"}, 3),
    "version 2, in a group": (V2.format("/job/step"), {"job/step/cpu.max": "50000 100000"}, 0.5),
    "version 2, the parent has less": (
        V2.format("/job/step"),
        {"job/cpu.max": "100000 100000", "job/step/cpu.max": "400000 100000"},
        1,
    ),
    "version 2, the child has no limit": (
        V2.format("/job/step"),
        {"job/cpu.max": "200000 100000", "job/step/cpu.max": "max 100000"},
        2,
    ),
    "version 2, a neighbour's group": (
        V2.format("/job"),
        {"job/cpu.max": "max 100000", "other/cpu.max": "50000 100000"},
        None,
    ),
    "version 2, above the mounted root": (V2.format("/../.."), {"cpu.max": "100000 100000"}, 1),
    "version 1": (V1.format("/"), v1("cpu,cpuacct", 250_000), 2.5),
    "version 1, by the short name": (V1.format("/"), v1("cpu", 100_000), 1),
    "version 1, no limit": (V1.format("/"), v1("cpu,cpuacct", -1), None),
    "version 1, in a group": (V1.format("/docker/abc"), v1("cpu,cpuacct/docker/abc", 50_000), 0.5),
    "version 1, the parent has less": (
        V1.format("/docker/abc"),
        {**v1("cpu,cpuacct/docker", 100_000), **v1("cpu,cpuacct/docker/abc", 300_000)},
        1,
    ),
    "version 1, a container that sees its group as the root": (
        V1.format("/docker/abc"), v1("cpu,cpuacct", 100_000), 1,
    ),
    "hybrid": (
        HYBRID.format("/"), {**v1("cpu,cpuacct", 100_000), "unified/cgroup.procs": ""}, 1,
    ),
    "hybrid, both limit": (
        HYBRID.format("/a"),
        {**v1("cpu,cpuacct/a", 300_000), "unified/a/cpu.max": "200000 100000"},
        2,
    ),
    "another controller": ("1:memory:/a\n", v1("cpu/a", 100_000), None),
    "no numbers": (V2.format("/"), {"cpu.max": "lots\n"}, None),
    "no files": ("", {}, None),
}  # fmt: skip


@pytest.mark.parametrize("name", TREES)
def test_quotas(tmp_path: Path, name: str) -> None:
    belongs, files, quota = TREES[name]
    assert cpu_quota(made_groups(tmp_path, belongs, files)) == quota


def test_without_proc_there_is_no_quota(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path) is None
    assert throttled(tmp_path) is None


@pytest.fixture
def quota(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Eight CPUs, a quota of two and a half, and nothing set."""
    monkeypatch.delenv(cpus.THREADS, raising=False)
    monkeypatch.delenv("TORCHINDUCTOR_COMPILE_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    made_groups(tmp_path, V2.format("/"), {"cpu.max": "250000 100000"})
    monkeypatch.setattr(control_groups, "ROOT", tmp_path)
    return tmp_path


def bind(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(count)), raising=False)


def test_the_lesser_of_quota_and_affinity_counts_rounded_up(
    quota: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (cpus.usable_cpus(), limited_threads()) == (3, 3)
    bind(monkeypatch, 2)  # the libraries know it
    assert (cpus.usable_cpus(), limited_threads()) == (2, None)
    made_groups(quota, V2.format("/"), {"cpu.max": "10000 100000"})
    assert (cpus.usable_cpus(), limited_threads()) == (1, 1)
    made_groups(quota, V2.format("/"), {"cpu.max": "max 100000"})
    assert (cpus.usable_cpus(), limited_threads()) == (2, None)


@pytest.mark.parametrize(("set_to", "threads"), [("5", 5), ("4,2", 4), ("many", 3)])
def test_omp_num_threads_wins(
    quota: Path, monkeypatch: pytest.MonkeyPatch, set_to: str, threads: int
) -> None:
    monkeypatch.setenv(cpus.THREADS, set_to)
    assert limited_threads() == threads
    limit_threads()
    assert os.environ[cpus.THREADS] == set_to


def test_nothing_is_set_where_no_quota_is_below_the_affinity(
    quota: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bind(monkeypatch, 3)
    limit_threads()
    assert cpus.THREADS not in os.environ


@pytest.mark.parametrize(
    ("belongs", "files"),
    [
        (
            V2.format("/a/b"),
            {
                "a/cpu.max": "100000 100000",
                "a/cpu.stat": "usage_usec 9\nnr_periods 8\nnr_throttled 3\nthrottled_usec 2500000",
                "a/b/cpu.max": "max 100000",
                "a/b/cpu.stat": "nr_throttled 50\nthrottled_usec 1",
            },
        ),
        (
            V1.format("/a"),
            {
                **v1("cpu,cpuacct/a", 100_000),
                "cpu,cpuacct/a/cpu.stat": "nr_periods 8\nnr_throttled 3\nthrottled_time 2500000000",
            },
        ),
    ],
)
def test_how_often_the_quota_ran_out(
    tmp_path: Path, belongs: str, files: Mapping[str, str]
) -> None:
    assert throttled(made_groups(tmp_path, belongs, files)) == Throttled(3, 2.5)


def test_a_comparison_is_told_of_its_quota(quota: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stat = quota / "sys/fs/cgroup/cpu.stat"
    stat.write_text("nr_throttled 3\nthrottled_usec 2500000")
    had = "there was a quota of 2.5 CPUs"
    assert run_and_check_quota(lambda: 7) == (7, f"{had}, and it never ran out")
    used = run_and_check_quota(lambda: stat.write_text("nr_throttled 45\nthrottled_usec 5700000"))
    assert used[1] == (
        f"{had}, which ran out in 42 periods: CPUs stood still for 3.2 s, and the times hold that"
    )
    assert (environment()["cpus"], environment()["cpu_quota"]) == (3, 2.5)
    made_groups(quota, V2.format("/"), {"cpu.max": "max 100000"})
    assert run_and_check_quota(lambda: 7) == (7, "")


COMMAND = """
import json, os, sys
from pathlib import Path
from un_deploy import control_groups
control_groups.ROOT = Path(sys.argv[1])
os.sched_getaffinity = lambda _: set(range(64))  # before NumPy asks
from un_deploy.cli import main
try:
    main(["inspect", "absent.onnx"])
except SystemExit:
    pass
import numpy
numpy.ones((300, 300)) @ numpy.ones((300, 300))
from un_deploy.runtime.onnxruntime.runtime import OnnxRuntime
print(json.dumps([os.environ.get("OMP_NUM_THREADS"), len(os.listdir("/proc/self/task"))]))
"""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="Linux tells of threads")
@pytest.mark.parametrize(("set_to", "threads"), [(None, "1"), ("2", "2")])
def test_a_command_computes_with_the_threads_of_its_quota(
    tmp_path: Path, set_to: str | None, threads: str
) -> None:
    made_groups(tmp_path, V2.format("/"), {"cpu.max": "100000 100000"})
    kept = {name: value for name, value in os.environ.items() if "_NUM_THREADS" not in name}
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, str(tmp_path)],
        env={**kept, "PYTHONPATH": str(ROOT), **({cpus.THREADS: set_to} if set_to else {})},
        capture_output=True,
        text=True,
        check=True,
    )
    set_, running = json.loads(done.stdout.splitlines()[-1])
    assert set_ == threads
    assert running <= int(threads)
