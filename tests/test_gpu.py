"""What the driver tells of a GPU, and that silence is an answer."""

from __future__ import annotations

from pathlib import Path

import pynvml
import pytest

from tests.support.doubles.nvml_double import (
    A100,
    UUIDS,
    Driver,
    divided,
    gpu,
    with_broken_driver,
    without_driver,
)
from un_deploy import gpu as asked
from un_deploy.gpu import Gpu, ask_driver, first_gpu, gpus, with_unit


def test_all_that_a_gpu_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver(monkeypatch, A100, {**A100, "nvmlDeviceGetName": "NVIDIA H200"})
    first, second = gpus()
    assert first == Gpu(
        name="NVIDIA A100",
        driver="550.1",
        memory_bytes=40 * 2**30,
        sm_mhz=1410,
        max_sm_mhz=1980,
        memory_mhz=1215,
        persistent=True,
        temperature_c=31,
        power_w=48.5,
        held_back=1,
        compute_capability="80",
    )
    assert second.name == "NVIDIA H200"
    assert first_gpu() == first
    assert driver.opened == 0


def test_what_it_does_not_tell_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    Driver(monkeypatch, {"nvmlDeviceGetName": "GRID"})
    assert gpus() == (Gpu("GRID", "550.1", *[None] * 8),)


def test_no_driver_no_gpu_and_a_broken_one_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver(monkeypatch, {})
    assert gpus() == ()  # not even its name is told
    driver.devices = []
    assert gpus() == ()
    assert driver.opened == 0
    without_driver(monkeypatch)
    assert gpus() == ()
    assert first_gpu() is None


FIRST, SECOND, THIRD = UUIDS
MIG = ("MIG-1111aaaa-2222", "MIG-1111bbbb-3333")


class TestVisibleDevices:
    """gpus() and first_gpu() are those of CUDA: what a report names is what computed."""

    def names(self, monkeypatch: pytest.MonkeyPatch, chosen: str | None) -> list[str]:
        Driver(monkeypatch, gpu("A", FIRST), gpu("B", SECOND), gpu("C", THIRD))
        if chosen is not None:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
        found = [one.name for one in gpus()]
        first = first_gpu()
        assert found[:1] == ([] if first is None else [first.name])
        return found

    @pytest.mark.parametrize(
        ("chosen", "names"),
        [
            (None, "ABC"),
            ("0", "A"),
            ("1", "B"),
            ("2,0", "CA"),
            (" 2 , 1 ", "CB"),
            ("1gpu,+0", "BA"),
            ("01", "B"),
        ],
    )
    def test_numbers(self, chosen: str | None, names: str, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.names(monkeypatch, chosen) == list(names)

    @pytest.mark.parametrize(
        ("chosen", "names"),
        [
            (SECOND, "B"),
            (f"{THIRD},{FIRST}", "CA"),
            ("GPU-c", "C"),
            ("GPU-8932,GPU-89a", "AB"),
            ("GPU-89", ""),  # two begin so
            ("GPU-0000", ""),
            (f"{SECOND},1", "B"),  # numbers among UUIDs are none
        ],
    )
    def test_uuids(self, chosen: str, names: str, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.names(monkeypatch, chosen) == list(names)

    @pytest.mark.parametrize(
        ("chosen", "names"),
        [
            ("", ""),
            ("-1", ""),
            ("NoDevFiles", ""),
            ("all", ""),
            ("3", ""),
            ("1,-1,0", "B"),  # up to the first that is none
            ("0,7,1", "A"),
            ("1,,0", "B"),
            (f"0,{SECOND}", "A"),
            ("1,1", ""),  # twice the same
            ("2,0,02", ""),
            (f"{FIRST},{FIRST}", ""),
        ],
    )
    def test_none_and_not_all(
        self, chosen: str, names: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert self.names(monkeypatch, chosen) == list(names)

    @pytest.mark.parametrize(
        ("chosen", "names"),
        [
            (MIG[1], ["A 2g"]),
            ("MIG-1111b", ["A 2g"]),
            (f"{MIG[1]},{MIG[0]}", ["A 2g", "A 1g"]),
            ("MIG-1111", []),
            ("0", ["A 1g"]),  # of a divided GPU CUDA takes the first part
            (FIRST, ["A 1g"]),
            ("1", ["B"]),
            (None, ["A 1g", "B"]),
        ],
    )
    def test_parts_of_a_gpu(
        self, chosen: str | None, names: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        parts = (("A 1g", MIG[0], 5 << 30), ("A 2g", MIG[1], 10 << 30))
        Driver(monkeypatch, divided("A", FIRST, *parts), gpu("B", SECOND))
        if chosen is not None:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
        assert [one.name for one in gpus()] == names

    def test_a_part_has_memory_of_its_own_and_the_clocks_of_the_whole(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Driver(monkeypatch, divided("A", FIRST, ("A 2g", MIG[1], 10 << 30)))
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", MIG[1])
        found = first_gpu()
        assert found is not None
        assert (found.name, found.memory_bytes) == ("A 2g", 10 << 30)
        assert (found.sm_mhz, found.max_sm_mhz, found.persistent) == (1410, 1980, True)

    def test_its_clock_is_the_one_that_is_watched(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from un_deploy.measure.speed.conditions import run_and_see
        from un_deploy.measure.speed.environment import environment

        clock = ("nvmlDeviceGetClockInfo", pynvml.NVML_CLOCK_SM)
        driver = Driver(monkeypatch, gpu("A", FIRST), gpu("B", SECOND))
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
        assert str(environment()["gpu"]).startswith("B, ")
        for index, moved in ((0, False), (1, True)):

            def work(index: int = index) -> None:
                driver.devices[index][clock] = 900

            _, seen = run_and_see(work)
            assert seen.sm_mhz == (1410, 900 if moved else 1410)


class TestTheDriversWords:
    @pytest.mark.parametrize(
        ("code", "said"),
        [
            (pynvml.NVML_ERROR_DRIVER_NOT_LOADED, "Driver Not Loaded: load or install"),
            (
                pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH,
                "RM has detected an NVML/RM version mismatch: restart the machine after",
            ),
            (pynvml.NVML_ERROR_FUNCTION_NOT_FOUND, "Function Not Found: the driver is too old"),
            (pynvml.NVML_ERROR_NO_PERMISSION, "Insufficient Permissions"),
            (pynvml.NVML_ERROR_UNKNOWN, "Unknown Error"),
        ],
    )
    def test_a_broken_driver(self, code: int, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
        with_broken_driver(monkeypatch, code)
        (problem,) = ask_driver().problems
        assert problem.startswith(said) and gpus() == ()

    def test_no_driver_is_no_problem(self, monkeypatch: pytest.MonkeyPatch) -> None:
        without_driver(monkeypatch)
        assert ask_driver() == asked.Driver()

    def test_a_library_that_is_damaged(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        without_driver(monkeypatch)
        (tmp_path / "libnvidia-ml.so.1").write_bytes(bytes(4096))
        monkeypatch.setattr(asked, "_LIBRARY", str(tmp_path / "libnvidia-ml.so.1"))
        (problem,) = ask_driver().problems
        assert problem.endswith("libnvidia-ml.so.1: invalid ELF header")

    def test_a_lost_gpu_beside_a_good_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        Driver(monkeypatch, gpu("A", FIRST), pynvml.NVML_ERROR_GPU_IS_LOST, gpu("C", THIRD))
        answer = ask_driver()
        assert answer.problems == ("GPU 1: GPU is lost: restart the machine",)
        assert [one.name for one in answer.gpus] == ["A", "C"]
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
        assert gpus() == ()

    def test_a_driver_that_fails_to_the_last(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail() -> None:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_UNKNOWN)

        Driver(monkeypatch, A100)
        monkeypatch.setattr(pynvml, "nvmlDeviceGetCount", fail)
        monkeypatch.setattr(pynvml, "nvmlShutdown", fail)
        assert ask_driver() == asked.Driver(problems=("Unknown Error",))

    def test_its_version_and_the_cuda_that_it_runs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        Driver(monkeypatch, A100)
        answer = ask_driver()
        assert (answer.version, answer.cuda) == ("550.1", "12.4")
        assert answer.all_gpus == ("NVIDIA A100",)


def test_a_figure_that_is_not_told_is_written_as_nvidia_smi_does() -> None:
    assert with_unit(1410, "MHz") == "1410 MHz"
    assert with_unit(None, "MHz") == "[N/A]"
