"""What is known of a plan from outside, and what is not taken for one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.plans import IMAGE, LOGITS, profile, write_plan
from un_deploy.engines.plan.header import is_plan
from un_deploy.engines.plan.manifest import file_sha256
from un_deploy.engines.profiles import Range
from un_deploy.errors import InputError
from un_deploy.pipeline.triton.served_model import ServedTensor
from un_deploy.pipeline.triton.served_plan import read_plan


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    return write_plan(tmp_path / "net.plan")


def test_everything_that_the_manifest_says(plan: Path) -> None:
    served = read_plan(plan)
    assert (served.kind, served.flavor, served.version) == ("plan", "tensorrt", "10.16.1.11")
    assert served.sha256 == file_sha256(plan)
    assert served.inputs == (ServedTensor("x", "float32", ("batch", 3, 32, 32)),)
    assert served.outputs == (ServedTensor("y", "float32", (None, 10)),)
    assert served.profiles == ({"x": Range((1, 3, 32, 32), (4, 3, 32, 32), (8, 3, 32, 32))},)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("net.plan", b"anything", True),
        ("net.engine", b"", True),
        ("net", b"ftrt....", True),
        ("net.onnx", b"\x08\x0a", False),
        ("net", b"", False),
    ],
)
def test_what_is_taken_for_a_plan(
    tmp_path: Path, name: str, content: bytes, expected: bool
) -> None:
    (tmp_path / name).write_bytes(content)
    assert is_plan(tmp_path / name) is expected
    assert is_plan(tmp_path / "missing" / name) is (expected and "." in name)


class TestRefusals:
    def test_no_plan(self, plan: Path) -> None:
        plan.write_bytes(bytes(200))
        with pytest.raises(InputError, match=r"net\.plan is no TensorRT plan"):
            read_plan(plan)

    def test_of_another_flavour_than_its_manifest(self, tmp_path: Path) -> None:
        with pytest.raises(
            InputError, match=r"is of tensorrt-rtx 10\.16\.1\.11, .* says tensorrt "
        ):
            read_plan(write_plan(tmp_path / "net.plan", magic=b"vtrt"))

    @pytest.mark.parametrize(
        ("profiles", "message"),
        [
            ([], "no profile for the dynamic input x"),
            ([profile(1, 4, 8), {}], "profile 1 has no shapes of rank 4 for x"),
            ([{"x": {"min": [1], "opt": [4], "max": [8]}}], "profile 0 has no shapes of rank 4"),
            (
                [{"x": {"min": [1], "opt": [4], "max": [8], "of_values": True}}],
                "reads input x as a shape, which is not served",
            ),
        ],
    )
    def test_profiles_that_do_not_fit(
        self, tmp_path: Path, profiles: list[object], message: str
    ) -> None:
        with pytest.raises(InputError, match=message):
            read_plan(write_plan(tmp_path / "net.plan", profiles=profiles))

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"shape": None}, "does not say the rank of x"),
            ({"format": "chw32"}, "x is laid out as chw32, but clients"),
        ],
    )
    def test_an_input_that_no_client_can_send(
        self, tmp_path: Path, change: dict[str, object], message: str
    ) -> None:
        with pytest.raises(InputError, match=message):
            read_plan(write_plan(tmp_path / "net.plan", inputs=[IMAGE | change]))


def test_fixed_shapes_need_no_profile(tmp_path: Path) -> None:
    fixed = [dict(tensor, shape=[2, *tensor["shape"][1:]]) for tensor in (IMAGE, LOGITS)]
    plan = write_plan(tmp_path / "net.plan", profiles=[], inputs=fixed[:1], outputs=fixed[1:])
    assert read_plan(plan).inputs == (ServedTensor("x", "float32", (2, 3, 32, 32)),)
