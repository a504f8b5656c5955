"""DiT, SD3 and FLUX as diffusers builds them, their LayerNorms replaced by UN: each folds.

Their LayerNorms have no weight, and a modulation n * (1 + s) + t follows; s and t come from a
linear operator of the condition. `make diffusers-test` installs diffusers and runs these.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Literal

import numpy as np
import onnx_ir as ir
import pytest

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")
pytest.importorskip("onnxruntime")
from torch import Tensor, nn  # noqa: E402  (needs torch)

from tests.support.graphs import largest_error, operators  # noqa: E402
from tests.support.networks.exports import EXPORTS  # noqa: E402
from tests.support.networks.trained_like import draw_norms  # noqa: E402
from un_deploy import convert_norms  # noqa: E402
from un_deploy.graph.fold.fold import fold_graph  # noqa: E402
from un_deploy.graph.proof.prove import prove  # noqa: E402
from un_deploy.pipeline.export.torch_to_onnx import Exporter, to_onnx  # noqa: E402
from un_deploy.runtime.onnxruntime.runtime import OnnxRuntime  # noqa: E402

pytestmark = pytest.mark.torch

Inputs = dict[str, Tensor]
Made = tuple[nn.Module, Inputs]


def dit() -> Made:
    network = diffusers.DiTTransformer2DModel(
        num_attention_heads=2, attention_head_dim=16, in_channels=4, out_channels=8,
        num_layers=2, sample_size=8, patch_size=2, norm_type="ada_norm_zero",
        num_embeds_ada_norm=10,
    )  # fmt: skip
    return network, {
        "hidden_states": torch.randn(2, 4, 8, 8),
        "timestep": torch.tensor([3, 7]),
        "class_labels": torch.tensor([1, 2]),
    }


def sd3() -> Made:
    network = diffusers.SD3Transformer2DModel(
        sample_size=8, patch_size=2, in_channels=4, num_layers=2, attention_head_dim=16,
        num_attention_heads=2, joint_attention_dim=24, caption_projection_dim=32,
        pooled_projection_dim=20, out_channels=4, pos_embed_max_size=8, qk_norm="rms_norm",
    )  # fmt: skip
    return network, {
        "hidden_states": torch.randn(2, 4, 8, 8),
        "encoder_hidden_states": torch.randn(2, 5, 24),
        "pooled_projections": torch.randn(2, 20),
        "timestep": torch.tensor([3.0, 7.0]),
    }


def flux() -> Made:
    network = diffusers.FluxTransformer2DModel(
        patch_size=1, in_channels=4, num_layers=1, num_single_layers=2, attention_head_dim=16,
        num_attention_heads=2, joint_attention_dim=32, pooled_projection_dim=20,
        axes_dims_rope=(4, 4, 8),
    )  # fmt: skip
    return network, {
        "hidden_states": torch.randn(2, 16, 4),
        "encoder_hidden_states": torch.randn(2, 5, 32),
        "pooled_projections": torch.randn(2, 20),
        "timestep": torch.tensor([0.3, 0.7]),
        "img_ids": torch.randn(16, 3).round(),
        "txt_ids": torch.zeros(5, 3),
    }


NETWORKS = {dit: 5, sd3: 8, flux: 7}
"""How many LayerNorms each has; none has a weight."""


def with_norms(
    make: Callable[[], Made], to: Literal["un", "none"]
) -> tuple[nn.Module, Inputs, list[str]]:
    """With norms that look trained, or none: the network, its inputs, the names converted."""
    torch.manual_seed(0)
    network, inputs = make()
    converted = convert_norms(network, to).converted
    draw_norms(network)
    with torch.no_grad():
        for module in network.modules():
            if is_rms_norm(module):
                module.weight.uniform_(0.5, 1.5)
    return network, inputs, converted


def is_rms_norm(module: nn.Module) -> bool:
    return type(module).__name__ == "RMSNorm" and module.weight is not None


def in_onnx_runtime(model: ir.Model, inputs: Inputs) -> dict[str, np.ndarray]:
    names = {value.name for value in model.graph.inputs}
    feeds = {name: tensor.numpy() for name, tensor in inputs.items() if name in names}
    return OnnxRuntime().load(model).run(feeds)


#: TorchScript's exporter has no rms_norm, which FLUX computes in one operator.
NOT_EXPORTED = {(flux, "torchscript")}


@pytest.mark.parametrize(("exporter", "dynamic"), EXPORTS)
@pytest.mark.parametrize("make", NETWORKS, ids=lambda make: make.__name__)
def test_no_converted_norm_and_no_operator_of_one_is_left(
    make: Callable[[], Made], exporter: Exporter, dynamic: bool
) -> None:
    if (make, exporter) in NOT_EXPORTED:
        pytest.skip("PyTorch's exporter cannot write it")
    network, inputs, converted = with_norms(make, "un")
    assert len(converted) == NETWORKS[make]
    batch = {name: {0: "batch"} for name in inputs if not name.endswith("_ids")}
    axes = batch if dynamic else {}
    model = to_onnx(network, inputs, dynamic_axes=axes, exporter=exporter)
    bare = to_onnx(with_norms(make, "none")[0], inputs, dynamic_axes=axes, exporter=exporter)
    folded = fold_graph(model.clone())
    proof = prove(model, folded)
    assert proof.passed, proof.problems

    labels = [site.label for site in folded.report.folded]
    assert [name for name in converted if name not in labels] == []
    left = {site.label for site in folded.report.stayed} | set(labels)
    rms = [name for name, module in network.named_modules() if is_rms_norm(module)]
    assert [name for name in rms if name not in left] == []
    assert not Counter(operators(folded.model)) - Counter(operators(bare)), (
        "more than without norms"
    )
    error = largest_error(in_onnx_runtime(folded.model, inputs), in_onnx_runtime(model, inputs))
    assert error < 1e-5
