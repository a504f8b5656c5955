"""The translation recipe: fairseq's names and shapes, its norms, its masks, and its parts."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from models import nmt  # noqa: E402
from tests.support.networks.masked_norm import MaskedNorm, masked_norms  # noqa: E402
from tests.support.networks.trained_like import variant  # noqa: E402
from un_deploy.graph.fold.fold import fold_graph  # noqa: E402
from un_deploy.graph.proof.prove import prove  # noqa: E402
from un_deploy.nn import UnifiedNorm  # noqa: E402
from un_deploy.pipeline.export.torch_to_onnx import to_onnx  # noqa: E402

pytestmark = pytest.mark.torch

WORDS, DIM, FFN = 10152, 512, 1024


def fairseq_state() -> dict[str, tuple[int, ...]]:
    """Names and shapes of a pre-norm transformer_iwslt_de_en with all embeddings shared."""
    shapes: dict[str, tuple[int, ...]] = {}

    def both(name: str, *shape: int) -> None:
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = shape, shape[:1]

    for side, attentions in (("encoder", ["self"]), ("decoder", ["self", "encoder"])):
        shapes[f"{side}.version"] = (1,)
        shapes[f"{side}.embed_tokens.weight"] = (WORDS, DIM)
        shapes[f"{side}.embed_positions._float_tensor"] = (1,)
        for layer in (f"{side}.layers.{number}" for number in range(6)):
            for name in attentions:
                for projection in ("k_proj", "v_proj", "q_proj", "out_proj"):
                    both(f"{layer}.{name}_attn.{projection}", DIM, DIM)
                both(f"{layer}.{name}_attn_layer_norm", DIM)
            both(f"{layer}.fc1", FFN, DIM)
            both(f"{layer}.fc2", DIM, FFN)
            both(f"{layer}.final_layer_norm", DIM)
        both(f"{side}.layer_norm", DIM)
    shapes["decoder.output_projection.weight"] = (WORDS, DIM)
    return shapes


def test_fairseq_s_names_and_shapes_load_strictly() -> None:
    with torch.device("meta"):
        network = nmt.nmt_iwslt()
        state = {name: torch.empty(shape) for name, shape in fairseq_state().items()}
    network.load_state_dict(state, strict=True, assign=True)
    assert len(state) == 101 + 162


def test_embeddings_are_shared() -> None:
    network = nmt.nmt_micro()
    table = network.encoder.embed_tokens.weight
    assert table is network.decoder.embed_tokens.weight
    assert table is network.decoder.output_projection.weight


def test_positions_are_fairseq_s() -> None:
    """The sines of all channels, then the cosines; the first token is at padding's id + 1."""
    found = nmt.nmt_micro().encoder.embed_positions(3, past=4)
    rates = [10000 ** (-k / 15) for k in range(16)]
    for place, row in enumerate(found.tolist()):
        angles = [(place + 4 + 2) * rate for rate in rates]
        wanted = [*map(math.sin, angles), *map(math.cos, angles)]
        np.testing.assert_allclose(row, wanted, atol=1e-5)


def test_every_norm_is_the_one_given() -> None:
    parts = nmt.nmt_micro(norm_layer=MaskedNorm).parts()
    found = {name: [norm.dim for norm in masked_norms(part)] for name, part in parts.items()}
    assert found == {"encoder": [32] * 5, "first": [32] * 7, "step": [32] * 7}


@pytest.mark.parametrize("sizes", [{"num_heads": 3}, {"dim": 33, "num_heads": 1}, {"dim": 2}])
def test_sizes_that_do_not_fit_are_refused(sizes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"no multiple|no sines"):
        nmt.nmt_micro(**sizes)


def test_each_norm_gets_the_mask_of_its_side_in_training_only() -> None:
    network = nmt.nmt_micro(norm_layer=MaskedNorm)
    inputs = network.example_inputs(8)
    masks = {
        "encoder": inputs["source_mask"] == 0,
        "decoder": inputs["target_ids"] == nmt.PADDING,
    }
    assert all(mask.any() for mask in masks.values())
    for train in (True, False):
        network.train(train)(**inputs)
        for side, mask in masks.items():
            norms = masked_norms(getattr(network, side))
            for norm in norms:
                assert torch.equal(norm.seen, mask) if train else norm.seen is None


def test_padding_and_later_words_change_nothing() -> None:
    network = nmt.nmt_micro().eval()
    inputs = network.example_inputs(8)
    padding = inputs["source_mask"] == 0
    other = inputs | {"source_ids": inputs["source_ids"].masked_fill(padding, 7)}
    other["target_ids"] = other["target_ids"].clone()
    other["target_ids"][:, 5:] = 9
    with torch.no_grad():
        one, two = network(**inputs), network(**other)
    assert torch.equal(one[:, :5], two[:, :5])
    assert not torch.equal(one[:, 5:], two[:, 5:])


@pytest.mark.parametrize("first", [1, 3])
def test_the_parts_give_the_whole_s_logits(first: int) -> None:
    network = variant(nmt.nmt_micro, "un")
    inputs = network.example_inputs(4)
    ids, given = inputs["target_ids"], {"source_mask": inputs["source_mask"]}
    parts = network.parts()
    with torch.no_grad():
        wanted = network(**inputs)
        out = parts["encoder"](inputs["source_ids"], **given)
        found = parts["first"](ids[:, :first], encoder_out=out, **given)
        past = dict(zip(parts["first"].output_names, found, strict=True))
        logits = [past.pop("logits")]
        for place in range(first, ids.shape[1]):
            renamed = {name.replace("present", "past"): one for name, one in past.items()}
            found = parts["step"](ids[:, place : place + 1], **given, **renamed)
            past |= dict(zip(parts["step"].output_names, found, strict=True))
            logits.append(past.pop("logits"))
    torch.testing.assert_close(torch.cat(logits, 1), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("part", ["encoder", "first", "step"])
def test_the_official_module_folds_as_ours_does(part: str) -> None:
    """Trained with the padding masked, through the whole network."""
    graphs = {}
    for mode in ("official", "robust"):
        torch.manual_seed(0)
        network = nmt.nmt_micro(norm_layer=partial(UnifiedNorm, mode=mode))
        optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
        for _ in range(3):
            optimizer.zero_grad()
            network(**network.example_inputs(8)).square().mean().backward()
            optimizer.step()
        module = network.eval().parts()[part]
        graphs[mode] = to_onnx(module, module.example_inputs(), exporter="torchscript")
    reports = {}
    for mode, graph in graphs.items():
        folded = fold_graph(graph.clone())
        proof = prove(graph, folded)
        assert proof.passed, proof.problems
        reports[mode] = (
            [(site.label, site.into) for site in folded.report.folded],
            [node.op_type for node in folded.model.graph],
        )
    assert reports["official"] == reports["robust"]
    assert len(reports["official"][0]) == (5 if part == "encoder" else 7)
