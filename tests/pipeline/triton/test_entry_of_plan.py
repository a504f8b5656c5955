"""The entry of a TensorRT plan: what its manifest says of profiles, types and shapes."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.triton.entry import BFLOAT16, FLOAT, FLOAT16, files, read, tensors
from tests.support.plans import IMAGE, LOGITS, profile, write_plan
from un_deploy.errors import InputError
from un_deploy.pipeline.triton.config import Serving
from un_deploy.pipeline.triton.repository import write_triton


def test_its_profiles_say_how_many_rows(plan: Path, repository: Path) -> None:
    report = write_triton(plan, repository)
    config = read(repository / "image")
    assert (config.backend, config.platform) == ("tensorrt", "tensorrt_plan")
    assert config.max_batch_size == 8
    assert tensors(config.input) == [("x", FLOAT, [3, 32, 32])]
    assert tensors(config.output) == [("y", FLOAT, [10])]
    (group,) = config.instance_group
    assert (group.kind, list(group.profile)) == (group.KIND_GPU, [])
    (sample,) = config.model_warmup
    assert (sample.batch_size, list(sample.inputs["x"].dims)) == (4, [3, 32, 32])
    assert config.parameters["tensorrt_version"].string_value == "10.16.1.11"
    assert report.tensorrt == "10.16.1.11" and "TensorRT is 10.16.1.11" in report.notes[0]
    assert files(repository) == ["image/1/model.plan", "image/config.pbtxt"]
    assert (repository / "image" / "1" / "model.plan").read_bytes() == plan.read_bytes()


def test_every_profile_is_used(tmp_path: Path, repository: Path) -> None:
    profiles = [profile(1, 1, 1), profile(2, 8, 16), profile(32, 64, 64)]
    plan = write_plan(tmp_path / "net.plan", profiles=profiles)
    write_triton(plan, repository, serving=Serving(max_batch_size=20))
    config = read(repository / "net")
    assert list(config.instance_group[0].profile) == ["0", "1", "2"]
    assert [sample.batch_size for sample in config.model_warmup] == [1, 8]  # 32 is too many
    write_triton(plan, repository, name="all")
    assert read(repository / "all").max_batch_size == 64


def test_the_narrowest_input_of_a_profile_counts(tmp_path: Path, repository: Path) -> None:
    other = {"min": [2, 7], "opt": [3, 7], "max": [5, 7]}
    second = dict(IMAGE, name="z", dtype="int64", shape=[-1, 7])
    profiles = [profile(1, 4, 8) | {"z": other}]
    plan = write_plan(tmp_path / "net.plan", profiles=profiles, inputs=[IMAGE, second])
    write_triton(plan, repository)
    config = read(repository / "net")
    assert config.max_batch_size == 5
    (sample,) = config.model_warmup
    assert sample.batch_size == 3 and list(sample.inputs["z"].dims) == [7]
    with pytest.raises(InputError, match="at least 2 rows"):
        write_triton(plan, repository, name="one", serving=Serving(max_batch_size=1))


def test_types_of_tensorrt(tmp_path: Path, repository: Path) -> None:
    inputs = [dict(IMAGE, dtype="bfloat16")]
    plan = write_plan(tmp_path / "net.plan", inputs=inputs, outputs=[dict(LOGITS, dtype="float16")])
    write_triton(plan, repository)
    config = read(repository / "net")
    assert config.input[0].data_type == BFLOAT16
    assert config.output[0].data_type == FLOAT16


def test_fixed_shapes(tmp_path: Path, repository: Path) -> None:
    fixed = [dict(tensor, shape=[2, *tensor["shape"][1:]]) for tensor in (IMAGE, LOGITS)]
    plan = write_plan(tmp_path / "net.plan", profiles=[], inputs=fixed[:1], outputs=fixed[1:])
    write_triton(plan, repository)
    config = read(repository / "net")
    assert config.max_batch_size == 0
    assert tensors(config.input) == [("x", FLOAT, [2, 3, 32, 32])]
    assert list(config.model_warmup[0].inputs["x"].dims) == [2, 3, 32, 32]


def test_what_its_reader_should_know(tmp_path: Path, repository: Path) -> None:
    plan = write_plan(tmp_path / "net.plan", profiles=[profile(4, 4, 8)])
    report = write_triton(plan, repository, serving=Serving(dynamic_batching=False))
    assert not read(repository / "net").HasField("dynamic_batching")
    notes = " ".join(report.notes)
    assert "later versions" not in notes
    plan = write_plan(tmp_path / "new.plan", options=["--versionCompatible"])
    assert "version-compatible=true" in " ".join(write_triton(plan, repository).notes)
    assert "at least 4 rows" in notes and "--disable-auto-complete-config" in notes


def test_the_server_is_started_as_the_plan_needs_it(tmp_path: Path) -> None:
    plan = write_plan(tmp_path / "net.plan", options=["--versionCompatible"])
    repository = tmp_path / "it's here"
    report = write_triton(plan, repository, serving=Serving(dynamic_batching=False))
    assert shlex.split(report.serve) == [
        "tritonserver",
        f"--model-repository={repository}",
        "--backend-config=tensorrt,version-compatible=true",
        "--disable-auto-complete-config",
    ]
    batched = write_triton(plan, tmp_path / "batched")
    assert shlex.split(batched.serve)[2:] == ["--backend-config=tensorrt,version-compatible=true"]
    assert batched.ready == "curl -sf localhost:8000/v2/models/net/ready && echo ready"


@pytest.mark.parametrize(
    ("changes", "serving", "message"),
    [
        ({"flavor": "tensorrt-rtx"}, {}, r"plan of tensorrt-rtx: .* standard TensorRT alone"),
        ({}, {"kind": "cpu"}, "runs on a GPU: not kind='cpu'"),
        ({}, {"max_batch_size": 9}, "take at most 8 rows, not 9"),
        ({"profiles": [profile(4, 4, 8)]}, {"max_batch_size": 2}, "at least 4 rows"),
        ({}, {"sizes": {"batch": 2}}, "sizes and shapes are for ONNX files"),
        ({"outputs": [dict(LOGITS, dtype="double")]}, {}, "y of .* is float64"),
        ({"options": ["--stripWeights"]}, {}, "is without weights"),
        ({"outputs": [dict(LOGITS, shape=[])]}, {}, "y of .* is a scalar"),
    ],
)
def test_refusals(
    changes: dict[str, Any],
    serving: dict[str, Any],
    message: str,
    tmp_path: Path,
    repository: Path,
) -> None:
    plan = write_plan(tmp_path / "net.plan", **changes)
    with pytest.raises(InputError, match=message):
        write_triton(plan, repository, serving=Serving(**serving))
    assert not repository.exists()


def test_no_manifest(plan: Path, repository: Path) -> None:
    plan.with_name("image.plan.json").unlink()
    with pytest.raises(InputError, match=r"image\.plan\.json does not exist"):
        write_triton(plan, repository)
