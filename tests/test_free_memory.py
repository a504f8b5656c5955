"""What is free is read from the system, and what takes more is refused by its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from un_deploy import free_memory
from un_deploy.errors import InputError


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of which nothing is told."""
    monkeypatch.setattr(free_memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(free_memory, "_GROUP", tmp_path)
    return tmp_path


def test_the_least_of_machine_and_container_counts(system: Path) -> None:
    (system / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable:    4000 kB\n")
    assert free_memory.free_memory() == 4000 * 1024
    (system / "memory.max").write_text("1000000\n")
    (system / "memory.current").write_text("400000\n")
    assert free_memory.free_memory() == 600_000
    (system / "memory.max").write_text("max\n")
    assert free_memory.free_memory() == 4000 * 1024


def test_what_takes_more_is_named(system: Path) -> None:
    free_memory.check_memory(10**15, "input x")  # nobody knows
    (system / "meminfo").write_text("MemAvailable: 4000000 kB\n")
    free_memory.check_memory(4 * 10**9, "input x")
    with pytest.raises(InputError, match=r"^input x: takes 5.0 GB of memory, 4.1 are free$"):
        free_memory.check_memory(5 * 10**9, "input x")
