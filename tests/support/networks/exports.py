"""The one road from a recipe to its graphs: each network is trained once, each export made once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, Literal, get_args

import onnx_ir as ir
from torch import nn

from tests.support.networks.kept import kept
from tests.support.networks.trained_like import FORWARDS, name_of, variant
from un_deploy.graph.fold.fold import fold_graph
from un_deploy.pipeline.export.torch_to_onnx import Exporter, to_onnx

SEED = 2208
BATCH = 2

Factory = Callable[..., nn.Module]
Form = Literal["none", "folded", "un", "released", "ln"]
FORMS: tuple[Form, ...] = get_args(Form)
"""No norm, UN folded and unfolded, UN as the released module writes it, and LN."""

EXPORTS: tuple[tuple[Exporter, bool], ...] = tuple(
    (exporter, dynamic) for exporter in get_args(Exporter) for dynamic in (False, True)
)
"""Each exporter, and whether the sizes of the inputs are left open."""

HALVES = ((EXPORTS[0], EXPORTS[3]), (EXPORTS[1], EXPORTS[2]))
"""In each half are both exporters, and sizes left open and not. Where cases take halves in turn,
any two of case, exporter and openness meet: an export takes seconds."""

EXPORTS_OF = {form: HALVES[form not in ("ln", "released")] for form in FORMS}

FORMS_EXPORTED = [(form, *export) for form in FORMS for export in EXPORTS_OF[form]]
"""For `pytest.mark.parametrize`."""


def in_turn(cases: Iterable[str]) -> list[tuple[str, Exporter, bool]]:
    """Each of these with one of `HALVES`, for `pytest.mark.parametrize`."""
    return [(case, *export) for turn, case in enumerate(cases) for export in HALVES[turn % 2]]


def exported(
    factory: Factory,
    form: str,
    dynamic: bool,
    exporter: Exporter = "dynamo",
    *,
    batch: int = BATCH,
    opset: int = 20,
    forwards: int = FORWARDS,
) -> ir.Model:
    """One of `FORMS` of a network; the forms share their weights. A model of the caller's own.

    Args:
        factory: takes ``norm_layer``, for example ``models.vit.vit_micro``, or a partial of such.
        form: a key of `tests.support.networks.trained_like.NORM_LAYERS`, or "folded".
        dynamic: leaves the sizes open that the network declares.
        exporter: of PyTorch.
        batch: rows of a static graph.
        opset: of the graph.
        forwards: of its training, see `trained_like`.
    """

    def make() -> ir.Model:
        if form == "folded":
            given = {"batch": batch, "opset": opset, "forwards": forwards}
            un = exported(factory, "un", dynamic, exporter, **given)
            return fold_graph(un).model
        network = variant(factory, form, SEED, forwards=forwards)
        return to_onnx(
            network,
            network.example_inputs(BATCH if dynamic else batch),
            dynamic_axes=network.dynamic_axes if dynamic else {},
            output_names=network.output_names,
            exporter=exporter,
            opset=opset,
        )

    shape = "dynamic" if dynamic else f"static{batch}"
    name = f"{name_of(factory)}-{form}-{exporter}-{shape}-{opset}-{forwards}.onnx"
    return kept(name, make, _save, ir.load)


def _save(model: ir.Model, path: Any) -> None:
    ir.save(model, path)


@cache
def forms(factory: Factory, dynamic: bool) -> dict[str, ir.Model]:
    """All of `FORMS`, by the newer exporter; whoever changes one clones it."""
    return {form: exported(factory, form, dynamic) for form in FORMS}
