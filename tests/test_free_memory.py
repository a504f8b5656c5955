"""What is free is read from the system, and what takes more is refused by its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.made_groups import V1, V2, made_groups
from un_deploy import control_groups
from un_deploy.errors import InputError
from un_deploy.free_memory import check_memory, free_memory


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of which nothing is told."""
    monkeypatch.setattr(control_groups, "ROOT", tmp_path)
    (tmp_path / "proc").mkdir()
    return tmp_path


def test_the_least_of_machine_and_container_counts(system: Path) -> None:
    assert free_memory() is None
    (system / "proc/meminfo").write_text("MemTotal: 9000 kB\nMemAvailable:    4000 kB\n")
    assert free_memory() == 4000 * 1024
    group = {"memory.max": "1000000\n", "memory.current": "400000\n"}
    made_groups(system, V2.format("/"), group)
    assert free_memory() == 600_000
    made_groups(system, V2.format("/"), {"memory.stat": "anon 1\ninactive_file 50000\n"})
    assert free_memory() == 650_000
    made_groups(system, V2.format("/"), {"memory.max": "max\n"})
    assert free_memory() == 4000 * 1024


def test_a_group_around_it_counts_too(system: Path) -> None:
    files = {
        "a/b/memory.max": "900000",
        "a/b/memory.current": "100000",
        "a/memory.max": "800000",
        "a/memory.current": "500000",
    }
    made_groups(system, V2.format("/a/b"), files)
    assert free_memory() == 300_000


def test_version_1(system: Path) -> None:
    files = {
        "memory/memory.limit_in_bytes": "9223372036854771712",
        "memory/memory.usage_in_bytes": "5000000",
        "memory/a/memory.limit_in_bytes": "1000000",
        "memory/a/memory.usage_in_bytes": "400000",
        "memory/a/memory.stat": "inactive_file 1\ntotal_inactive_file 20000\n",
    }
    made_groups(system, V1.format("/a"), files)
    assert free_memory() == 620_000
    made_groups(system, V1.format("/"), {})
    assert free_memory() is None


def test_what_takes_more_is_named(system: Path) -> None:
    check_memory(10**15, "input x")  # nobody knows
    (system / "proc/meminfo").write_text("MemAvailable: 4000000 kB\n")
    check_memory(4 * 10**9, "input x")
    with pytest.raises(InputError, match=r"^input x: takes 5.0 GB of memory, 4.1 are free$"):
        check_memory(5 * 10**9, "input x")
