"""What is known of a plan from outside, and what is not taken for one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.plans import IMAGE, LOGITS, profile, write_plan
from un_deploy.errors import InputError
from un_deploy.pipeline.plan_manifest import Range, is_plan, read_manifest


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    return write_plan(tmp_path / "net.plan")


def test_everything_that_the_manifest_says(plan: Path) -> None:
    manifest = read_manifest(plan)
    assert (manifest.flavor, manifest.version) == ("tensorrt", "10.16.1.11")
    assert manifest.inputs == (("x", "float32", ("batch", 3, 32, 32)),)
    assert manifest.outputs == (("y", "float32", (None, 10)),)
    assert manifest.profiles == ({"x": Range((1, 3, 32, 32), (4, 3, 32, 32), (8, 3, 32, 32))},)


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
            read_manifest(plan)

    @pytest.mark.parametrize("size", [10, 163])
    def test_cut_off(self, plan: Path, size: int) -> None:
        plan.write_bytes(plan.read_bytes()[:size])
        with pytest.raises(InputError, match=r"was cut off|its header says 164: copy it again"):
            read_manifest(plan)

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="cannot be read: No such file"):
            read_manifest(tmp_path / "net.plan")

    def test_without_its_manifest(self, plan: Path) -> None:
        plan.with_name("net.plan.json").unlink()
        with pytest.raises(InputError, match=r"net\.plan has no manifest net\.plan\.json"):
            read_manifest(plan)

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"flavor": "tensorrt"}', "\xff"])
    def test_damaged_manifest(self, plan: Path, text: str) -> None:
        plan.with_name("net.plan.json").write_bytes(text.encode("latin-1"))
        with pytest.raises(InputError, match=r"net\.plan\.json is no manifest of a plan"):
            read_manifest(plan)

    def test_manifest_of_another_plan(self, plan: Path) -> None:
        data = bytearray(plan.read_bytes())
        data[-1] ^= 1
        plan.write_bytes(data)
        with pytest.raises(InputError, match="is the manifest of another plan"):
            read_manifest(plan)

    @pytest.mark.parametrize(
        ("profiles", "message"),
        [
            ([], "no profile for the dynamic input x"),
            ([profile(1, 4, 8), {}], "profile 1 has no shapes of rank 4 for x"),
            ([{"x": {"min": [1], "opt": [4], "max": [8]}}], "profile 0 has no shapes of rank 4"),
        ],
    )
    def test_profiles_that_do_not_fit(
        self, tmp_path: Path, profiles: list[object], message: str
    ) -> None:
        with pytest.raises(InputError, match=message):
            read_manifest(write_plan(tmp_path / "net.plan", profiles=profiles))

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
            read_manifest(write_plan(tmp_path / "net.plan", inputs=[IMAGE | change]))


def test_fixed_shapes_need_no_profile(tmp_path: Path) -> None:
    fixed = [dict(tensor, shape=[2, *tensor["shape"][1:]]) for tensor in (IMAGE, LOGITS)]
    plan = write_plan(tmp_path / "net.plan", profiles=[], inputs=fixed[:1], outputs=fixed[1:])
    assert read_manifest(plan).inputs == (("x", "float32", (2, 3, 32, 32)),)
