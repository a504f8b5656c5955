"""A model's entry in a Triton repository: read back with Triton's own message, held to the model.

No server runs here. What its backends compare while loading is compared here, with ONNX Runtime
in the place of the backend that wraps it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from tests.support.graphs import build
from tests.support.plans import IMAGE, LOGITS, profile, write_plan
from un_deploy.errors import InputError, TargetError
from un_deploy.graph.model.model_file import save_model
from un_deploy.pipeline.triton.config import Serving
from un_deploy.pipeline.triton.repository import write_triton

pytest.importorskip("tritonclient", reason="needs un-deploy[triton]")

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

INT = model_config_pb2.TYPE_INT64
FLOAT = model_config_pb2.TYPE_FP32
TWO_INPUTS = "int64[batch,seq] ids, int64[batch,seq] mask => float[batch,seq,4] y"
TWO_BODY = "g = Gather(w, ids)  m = Cast<to=1>(mask)  u = Unsqueeze(m, last)  y = Mul(g, u)"


def read(folder: Path) -> Any:
    """The configuration, as a server reads it."""
    text = (folder / "config.pbtxt").read_text()
    return text_format.Parse(text, model_config_pb2.ModelConfig())


def tensors(fields: Any) -> list[tuple[str, int, list[int]]]:
    return [(field.name, field.data_type, list(field.dims)) for field in fields]


def image_model(path: Path, batch: str = "batch") -> Path:
    model = build(
        f"float[{batch},3,4,4] x => float[{batch},5] y",
        "f = Flatten(x)  y = MatMul(f, w)",
        w=(48, 5),
    )
    save_model(model, path)
    return path


def token_model(path: Path, signature: str = TWO_INPUTS) -> Path:
    save_model(build(signature, TWO_BODY, w=(9, 4), last=[-1]), path)
    return path


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return image_model(tmp_path / "image.onnx")


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    return token_model(tmp_path / "tokens.onnx")


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    return write_plan(tmp_path / "image.plan")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return tmp_path / "repository"


def files(folder: Path) -> list[str]:
    return sorted(str(f.relative_to(folder)) for f in folder.rglob("*") if f.is_file())


def assert_loads(config: Any, model: Path) -> None:
    """What Triton's onnxruntime backend compares while it loads, and what it then warms up with."""
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    kinds = {FLOAT: "tensor(float)", INT: "tensor(int64)"}
    for fields, values in (
        (config.input, session.get_inputs()),
        (config.output, session.get_outputs()),
    ):
        assert [field.name for field in fields] == [value.name for value in values]
        for field, value in zip(fields, values, strict=True):
            assert kinds[field.data_type] == value.type
            known = [dim if isinstance(dim, int) else -1 for dim in value.shape]
            dims = list(field.reshape.shape) if field.HasField("reshape") else list(field.dims)
            if config.max_batch_size:
                assert known[0] == -1
                dims = [-1, *dims]
            assert len(dims) == len(known)
            assert all(k in (-1, d) for d, k in zip(dims, known, strict=True))
    for sample in config.model_warmup:
        feeds = {}
        for field in config.input:
            given = sample.inputs[field.name]
            assert given.zero_data and given.data_type == field.data_type
            rows = [sample.batch_size] if config.max_batch_size else []
            dtype = np.int64 if given.data_type == INT else np.float32
            feeds[field.name] = np.zeros([*rows, *given.dims], dtype)
        for output, field in zip(session.run(None, feeds), config.output, strict=True):
            shape = output.shape[1:] if config.max_batch_size else output.shape
            assert all(d in (-1, s) for d, s in zip(field.dims, shape, strict=True))


class TestOnnx:
    def test_images_in_batches(self, image: Path, repository: Path) -> None:
        report = write_triton(image, repository, serving=Serving(max_batch_size=8))
        config = read(repository / "image")
        assert (config.name, config.backend, config.platform) == (
            "image",
            "onnxruntime",
            "onnxruntime_onnx",
        )
        assert config.max_batch_size == 8
        assert tensors(config.input) == [("x", FLOAT, [3, 4, 4])]
        assert tensors(config.output) == [("y", FLOAT, [5])]
        assert config.HasField("dynamic_batching")
        assert [(s.batch_size, s.count) for s in config.model_warmup] == [(1, 1), (8, 1)]
        (group,) = config.instance_group
        assert (group.count, group.kind, list(group.profile)) == (1, group.KIND_AUTO, [])
        assert not config.parameters
        copied = repository / "image" / "1" / "model.onnx"
        assert copied.read_bytes() == image.read_bytes()
        assert files(repository) == ["image/1/model.onnx", "image/config.pbtxt"]
        assert_loads(config, copied)
        assert report.files == ("config.pbtxt", "1/model.onnx") and report.notes == ()
        assert report.sha256 in (repository / "image" / "config.pbtxt").read_text()
        assert [(t.name, t.type, t.shape) for t in report.inputs] == [
            ("x", "TYPE_FP32", (-1, 3, 4, 4))
        ]
        assert json.loads(report.to_json())["max_batch_size"] == 8

    def test_token_ids_and_an_open_sequence(self, tokens: Path, repository: Path) -> None:
        report = write_triton(tokens, repository, serving=Serving(max_batch_size=4))
        config = read(repository / "tokens")
        assert tensors(config.input) == [("ids", INT, [-1]), ("mask", INT, [-1])]
        assert tensors(config.output) == [("y", FLOAT, [-1, 4])]
        assert_loads(config, repository / "tokens" / "1" / "model.onnx")
        assert not config.model_warmup
        assert report.notes == ("no warm-up: the size of seq is unknown; --dim seq=SIZE gives it",)

    def test_warm_up_of_a_given_length(self, tokens: Path, repository: Path) -> None:
        serving = Serving(max_batch_size=4, preferred_batch_sizes=(2,), sizes={"seq": 7})
        assert write_triton(tokens, repository, serving=serving).notes == ()
        config = read(repository / "tokens")
        assert [sample.batch_size for sample in config.model_warmup] == [1, 2, 4]
        assert [list(s.inputs["ids"].dims) for s in config.model_warmup] == [[7]] * 3
        assert_loads(config, repository / "tokens" / "1" / "model.onnx")

    def test_a_fixed_batch_makes_none(self, tmp_path: Path, repository: Path) -> None:
        report = write_triton(image_model(tmp_path / "image.onnx", "2"), repository)
        config = read(repository / "image")
        assert config.max_batch_size == 0 and not config.HasField("dynamic_batching")
        assert tensors(config.input) == [("x", FLOAT, [2, 3, 4, 4])]
        assert tensors(config.output) == [("y", FLOAT, [2, 5])]
        (sample,) = config.model_warmup
        assert (sample.batch_size, list(sample.inputs["x"].dims)) == (1, [2, 3, 4, 4])
        assert_loads(config, repository / "image" / "1" / "model.onnx")
        assert "the first dimension of x is always 2" in report.notes[0]

    def test_an_open_batch_that_clients_send(self, image: Path, repository: Path) -> None:
        serving = Serving(max_batch_size=0, sizes={"batch": 3})
        write_triton(image, repository, serving=serving)
        config = read(repository / "image")
        assert config.max_batch_size == 0
        assert tensors(config.input) == [("x", FLOAT, [-1, 3, 4, 4])]
        assert list(config.model_warmup[0].inputs["x"].dims) == [3, 3, 4, 4]
        assert_loads(config, repository / "image" / "1" / "model.onnx")

    def test_nothing_besides_the_batch(self, tmp_path: Path, repository: Path) -> None:
        """A tensor of shape (batch,) is (batch, 1) to clients, and reshaped for the model."""
        model = build(
            "float[n] x, float[n,3] z => float[n] y",
            "s = ReduceMax<keepdims=0>(z, last)  y = Add(x, s)",
            last=[-1],
        )
        save_model(model, tmp_path / "net.onnx")
        report = write_triton(tmp_path / "net.onnx", repository, serving=Serving(max_batch_size=2))
        config = read(repository / "net")
        x, z = config.input
        (y,) = config.output
        assert [list(f.dims) for f in (x, z, y)] == [[1], [3], [1]]
        assert [f.HasField("reshape") for f in (x, z, y)] == [True, False, True]
        assert_loads(config, repository / "net" / "1" / "model.onnx")
        assert not config.model_warmup and "x has no dimension besides" in report.notes[0]

    def test_weights_in_files_of_their_own(self, tmp_path: Path, repository: Path) -> None:
        model = image_model(tmp_path / "inline.onnx")
        (tmp_path / "weights").mkdir()
        onnx.save(
            onnx.load(model),
            tmp_path / "image.onnx",
            save_as_external_data=True,
            location="weights/w.bin",
            size_threshold=0,
        )
        serving = Serving(max_batch_size=8)
        report = write_triton(tmp_path / "image.onnx", repository, serving=serving)
        assert files(repository / "image") == [
            "1/model.onnx/model.onnx",
            "1/model.onnx/weights/w.bin",
            "config.pbtxt",
        ]
        assert sorted(report.files) == files(repository / "image")
        folder = repository / "image" / "1" / "model.onnx"
        (tmp_path / "weights" / "w.bin").unlink()
        assert_loads(read(repository / "image"), folder / "model.onnx")
        onnx.checker.check_model(folder / "model.onnx")

    @pytest.mark.torch
    @pytest.mark.parametrize("dynamic", [True, False])
    @pytest.mark.parametrize("name", ["vit", "bert"])
    def test_networks_of_the_package(
        self, name: str, dynamic: bool, tmp_path: Path, repository: Path
    ) -> None:
        pytest.importorskip("torch")
        from models.bert import bert_micro
        from models.vit import vit_micro
        from tests.support.networks.exports import exported

        factory = {"vit": vit_micro, "bert": bert_micro}[name]
        exporter = "dynamo" if dynamic else "torchscript"
        path = tmp_path / f"{name}.onnx"
        save_model(exported(factory, "folded", dynamic, exporter), path)
        serving = Serving(
            max_batch_size=4 if dynamic else None,
            sizes={"sequence": 12} if dynamic and name == "bert" else {},
        )
        write_triton(path, repository, serving=serving)
        config = read(repository / name)
        batch = [] if dynamic else [2]
        assert_loads(config, repository / name / "1" / "model.onnx")
        assert len(config.model_warmup) == (2 if dynamic else 1)
        if name == "vit":
            assert tensors(config.input) == [("pixel_values", FLOAT, [*batch, 1, 28, 28])]
            assert tensors(config.output) == [("logits", FLOAT, [*batch, 10])]
        else:
            names = ("input_ids", "attention_mask", "token_type_ids")
            length = -1 if dynamic else 16
            assert tensors(config.input) == [(n, INT, [*batch, length]) for n in names]
            assert tensors(config.output) == [("last_hidden_state", FLOAT, [*batch, length, 64])]


class TestPlan:
    def test_its_profiles_say_how_many_rows(self, plan: Path, repository: Path) -> None:
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

    def test_every_profile_is_used(self, tmp_path: Path, repository: Path) -> None:
        profiles = [profile(1, 1, 1), profile(2, 8, 16), profile(32, 64, 64)]
        plan = write_plan(tmp_path / "net.plan", profiles=profiles)
        write_triton(plan, repository, serving=Serving(max_batch_size=20))
        config = read(repository / "net")
        assert list(config.instance_group[0].profile) == ["0", "1", "2"]
        assert [sample.batch_size for sample in config.model_warmup] == [1, 8]  # 32 is too many
        write_triton(plan, repository, name="all")
        assert read(repository / "all").max_batch_size == 64

    def test_the_narrowest_input_of_a_profile_counts(
        self, tmp_path: Path, repository: Path
    ) -> None:
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

    def test_types_of_tensorrt(self, tmp_path: Path, repository: Path) -> None:
        inputs = [dict(IMAGE, dtype="bfloat16")]
        plan = write_plan(
            tmp_path / "net.plan", inputs=inputs, outputs=[dict(LOGITS, dtype="float16")]
        )
        write_triton(plan, repository)
        config = read(repository / "net")
        assert config.input[0].data_type == model_config_pb2.TYPE_BF16
        assert config.output[0].data_type == model_config_pb2.TYPE_FP16

    def test_fixed_shapes(self, tmp_path: Path, repository: Path) -> None:
        fixed = [dict(tensor, shape=[2, *tensor["shape"][1:]]) for tensor in (IMAGE, LOGITS)]
        plan = write_plan(tmp_path / "net.plan", profiles=[], inputs=fixed[:1], outputs=fixed[1:])
        write_triton(plan, repository)
        config = read(repository / "net")
        assert config.max_batch_size == 0
        assert tensors(config.input) == [("x", FLOAT, [2, 3, 32, 32])]
        assert list(config.model_warmup[0].inputs["x"].dims) == [2, 3, 32, 32]

    def test_what_its_reader_should_know(self, tmp_path: Path, repository: Path) -> None:
        plan = write_plan(tmp_path / "net.plan", profiles=[profile(4, 4, 8)])
        report = write_triton(plan, repository, serving=Serving(dynamic_batching=False))
        assert not read(repository / "net").HasField("dynamic_batching")
        notes = " ".join(report.notes)
        assert "later versions" not in notes
        plan = write_plan(tmp_path / "new.plan", options=["--versionCompatible"])
        assert "version-compatible=true" in " ".join(write_triton(plan, repository).notes)
        assert "at least 4 rows" in notes and "--disable-auto-complete-config" in notes

    @pytest.mark.parametrize(
        ("changes", "serving", "message"),
        [
            ({"flavor": "tensorrt-rtx"}, {}, r"plan of tensorrt-rtx: .* standard TensorRT alone"),
            ({}, {"kind": "cpu"}, "runs on a GPU: not --kind cpu"),
            ({}, {"max_batch_size": 9}, "take at most 8 rows, not 9"),
            ({"profiles": [profile(4, 4, 8)]}, {"max_batch_size": 2}, "at least 4 rows"),
            ({}, {"sizes": {"batch": 2}}, "--dim is for ONNX files"),
            ({"outputs": [dict(LOGITS, dtype="double")]}, {}, "y of .* is float64"),
            ({"options": ["--stripWeights"]}, {}, "is without weights"),
            ({"outputs": [dict(LOGITS, shape=[])]}, {}, "y of .* is a scalar"),
        ],
    )
    def test_refusals(
        self,
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

    def test_no_manifest(self, plan: Path, repository: Path) -> None:
        plan.with_name("image.plan.json").unlink()
        with pytest.raises(InputError, match=r"image\.plan\.json does not exist"):
            write_triton(plan, repository)


class TestServing:
    def test_the_settings_of_the_batcher_and_the_instances(
        self, image: Path, repository: Path
    ) -> None:
        serving = Serving(
            max_batch_size=8,
            max_queue_delay=250,
            preferred_batch_sizes=(8, 4),
            instances=3,
            kind="cpu",
            warm_up=False,
        )
        write_triton(image, repository, serving=serving)
        config = read(repository / "image")
        assert config.dynamic_batching.max_queue_delay_microseconds == 250
        assert list(config.dynamic_batching.preferred_batch_size) == [4, 8]
        (group,) = config.instance_group
        assert (group.count, group.kind) == (3, group.KIND_CPU)
        assert not config.model_warmup

    @pytest.mark.parametrize("serving", [{"dynamic_batching": False}, {"max_batch_size": 1}])
    def test_batches_that_clients_make(
        self, serving: dict[str, Any], image: Path, repository: Path
    ) -> None:
        write_triton(image, repository, serving=Serving(**{"max_batch_size": 8, **serving}))
        assert not read(repository / "image").HasField("dynamic_batching")

    @pytest.mark.parametrize(
        ("serving", "message"),
        [
            ({"max_batch_size": None}, "say with --max-batch-size how many rows"),
            ({"max_batch_size": 1, "dynamic_batching": True}, "hold at most 1"),
            ({"dynamic_batching": False, "max_queue_delay": 5}, "which is off"),
            ({"max_batch_size": 1, "preferred_batch_sizes": (1,)}, "which is off"),
            ({"preferred_batch_sizes": (9,)}, "no batch can hold 9 rows"),
            ({"warm_up": True}, r"cannot be warmed up: the size of seq is unknown"),
            ({"sizes": {"batch": 2}}, "no dynamic dimension 'batch' .* it has seq"),
            ({"sizes": {"seq": 2}, "warm_up": False}, "which is off"),
        ],
    )
    def test_settings_that_do_not_fit(
        self, serving: dict[str, Any], message: str, tokens: Path, repository: Path
    ) -> None:
        with pytest.raises(InputError, match=message):
            write_triton(tokens, repository, serving=Serving(**{"max_batch_size": 8, **serving}))
        assert not repository.exists()

    @pytest.mark.parametrize(
        ("signature", "message"),
        [
            (TWO_INPUTS.replace("batch", "2"), "the first dimension of ids is always 2"),
            (
                "int64[batch,seq] ids, int64[n,seq] mask => float[batch,seq,4] y",
                "the first dimension of ids is batch, and that of mask is n",
            ),
            (
                "int64[batch,seq] ids, int64[1,seq] mask => float[batch,seq,4] y",
                "of mask is always",
            ),
        ],
    )
    def test_what_cannot_be_batched(
        self, signature: str, message: str, tmp_path: Path, repository: Path
    ) -> None:
        path = token_model(tmp_path / "tokens.onnx", signature)
        with pytest.raises(InputError, match=message):
            write_triton(path, repository, serving=Serving(max_batch_size=4))
        report = write_triton(path, repository)
        assert report.max_batch_size == 0 and re.search(message, report.notes[0])

    def test_an_output_that_mixes_rows(self, tmp_path: Path, repository: Path) -> None:
        """Claimed to have the batch, as exporters do; its operators give twice as many rows."""
        model = build("float[batch,6] x => float[batch,6] y", "y = Concat<axis=0>(x, x)")
        save_model(model, tmp_path / "net.onnx")
        with pytest.raises(InputError, match=r"of x is batch, and that of y is 2\*batch"):
            write_triton(tmp_path / "net.onnx", repository, serving=Serving(max_batch_size=4))

    @pytest.mark.parametrize("dtype", [ir.DataType.BFLOAT16, ir.DataType.COMPLEX64])
    def test_types_that_the_backend_does_not_know(
        self, dtype: ir.DataType, tmp_path: Path, repository: Path
    ) -> None:
        model = build("float[batch,6] x => float[batch,6] y", f"y = Cast<to={dtype.value}>(x)")
        model.graph.outputs[0].dtype = dtype
        save_model(model, tmp_path / "net.onnx")
        with pytest.raises(InputError, match=f"y of .* is {dtype.name.lower()}"):
            write_triton(tmp_path / "net.onnx", repository)


class TestFolder:
    """What is there is replaced only when that is asked for, and then whole."""

    SERVING = Serving(max_batch_size=8)

    def write(self, source: Path, repository: Path, **settings: Any) -> Any:
        return write_triton(source, repository, serving=self.SERVING, **settings)

    def test_an_existing_model_needs_force(self, image: Path, repository: Path) -> None:
        self.write(image, repository)
        (repository / "image" / "config.pbtxt").write_text("mine")
        with pytest.raises(TargetError, match=r"image exists already.*--force"):
            self.write(image, repository)
        assert (repository / "image" / "config.pbtxt").read_text() == "mine"
        self.write(image, repository, force=True)
        assert read(repository / "image").max_batch_size == 8

    def test_other_versions_stay(self, image: Path, repository: Path) -> None:
        self.write(image, repository)
        (repository / "image" / "labels.txt").write_text("cat")
        (repository / "image" / "1" / "left.over").write_text("")
        assert self.write(image, repository, version=2, force=True).notes == ()
        assert files(repository / "image") == [
            "1/left.over",
            "1/model.onnx",
            "2/model.onnx",
            "config.pbtxt",
            "labels.txt",
        ]
        report = self.write(image, repository, force=True)
        assert "version 2 is there too" in report.notes[0]
        assert files(repository / "image") == [
            "1/model.onnx",
            "2/model.onnx",
            "config.pbtxt",
            "labels.txt",
        ]
        assert (repository / "image" / "labels.txt").read_text() == "cat"

    def test_a_failure_leaves_the_old_one(
        self, image: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.write(image, repository)
        before = {name: (repository / name).read_bytes() for name in files(repository)}

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("shutil.copyfile", full)
        with pytest.raises(TargetError, match=r"cannot write .*image: No space left"):
            self.write(image, repository, force=True)
        assert {name: (repository / name).read_bytes() for name in files(repository)} == before

    @pytest.mark.parametrize(
        "name", ["", ".", "..", "a/b", ".hidden", "-x", "a b", "ä", "a\n", "../up"]
    )
    def test_names(self, name: str, image: Path, repository: Path) -> None:
        with pytest.raises(InputError, match="is no name for a model in Triton"):
            self.write(image, repository, name=name)
        assert not repository.exists()

    def test_a_version_that_triton_ignores(self, image: Path, repository: Path) -> None:
        with pytest.raises(InputError, match="versions begin at 1"):
            self.write(image, repository, version=0)

    def test_a_file_or_a_link_of_that_name(self, image: Path, repository: Path) -> None:
        repository.mkdir()
        (repository / "image").write_text("")
        (repository / "link").symlink_to(image.parent)
        with pytest.raises(TargetError, match="image is no directory"):
            self.write(image, repository, force=True)
        with pytest.raises(TargetError, match="link is a link"):
            self.write(image, repository, name="link", force=True)

    def test_weights_called_like_the_model(self, tmp_path: Path, repository: Path) -> None:
        onnx.save(
            onnx.load(image_model(tmp_path / "inline.onnx")),
            tmp_path / "image.onnx",
            save_as_external_data=True,
            location="model.onnx",
            size_threshold=0,
        )
        with pytest.raises(InputError, match=r"weights in a file called model\.onnx"):
            self.write(tmp_path / "image.onnx", repository)
        assert not repository.exists()

    def test_a_repository_in_a_folder_that_is_not_there(self, image: Path, tmp_path: Path) -> None:
        with pytest.raises(TargetError, match="nowhere does not exist"):
            self.write(image, tmp_path / "nowhere" / "repository")

    def test_the_same_model_gives_the_same_bytes(self, image: Path, repository: Path) -> None:
        self.write(image, repository)
        first = (repository / "image" / "config.pbtxt").read_bytes()
        self.write(image, repository, force=True)
        assert (repository / "image" / "config.pbtxt").read_bytes() == first
