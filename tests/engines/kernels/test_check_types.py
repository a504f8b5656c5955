"""An engine's precision, read from its own kernels: a silent fp32 engine is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import onnx_ir as ir
import pytest

from models.recipes import Recipe
from models.vit import vit_micro
from tests.support.graphs import build as graph
from tests.support.networks.cases import with_micros
from tests.support.networks.exports import exported
from un_deploy.engines.building.from_graph import engine_of, prepare
from un_deploy.engines.kernels.check_types import NotShown, TypeReport, check_types
from un_deploy.engines.kernels.kernels import Kernel, KernelTensor
from un_deploy.errors import InputError
from un_deploy.graph.precision.convert import Precision, PrecisionReport, to_precision

TWO = graph(
    "float[8,64] x => float[8,64] y",
    "a = MatMul(x, u)  r = Relu(a)  y = MatMul(r, v)",
    u=(64, 64),
    v=(64, 64),
)


def built(
    model: ir.Model, precision: Precision, keep: Sequence[str] = ()
) -> tuple[Sequence[Kernel], ir.Model, PrecisionReport]:
    converted, report = to_precision(model, precision, keep=keep)
    engine = engine_of(prepare(converted, None), origin="m", flavor="tensorrt-rtx")
    return engine.built.kernels, converted, report


def checked(model: ir.Model, precision: Precision, keep: Sequence[str] = ()) -> TypeReport:
    return check_types(*built(model, precision, keep))


@pytest.mark.parametrize("recipe", with_micros(()), ids=str)
def test_an_engine_in_the_precision_asked_for(recipe: Recipe) -> None:
    """A masked attention adds an fp32 mask between its products.

    Of a single token, a generated kernel may be the product; it does not tell that it multiplies.
    """
    kernels, model, conversion = built(exported(recipe.factory, "folded", dynamic=False), "fp16")
    report = check_types(kernels, model, conversion)
    told = sum(kernel.multiplies for kernel in kernels)
    assert report.multiplying.keys() == {"Half"} and report.multiplying["Half"] >= told > 0
    assert report.shown == report.products > 0 and report.not_shown == ()


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_a_product_that_ends_a_layer_normalization_begun_elsewhere(precision: Precision) -> None:
    """One row for the head: its kernel divides by the deviation, which is fp32, and multiplies."""
    model = graph(
        "float[1,50,64] x => float[1,10] y",
        "a = MatMul(x, v)  s = Add(x, a)  n = LayerNormalization(s, g, b)  "
        "h = Gather<axis=1>(n, zero)  y = MatMul(h, w)",
        g=(64,),
        b=(64,),
        v=(64, 64),
        w=(64, 10),
        zero=0,
    )
    kernels, converted, conversion = built(model, precision)
    assert any("Sum" in k.fused and "Sqrt" in k.fused for k in kernels)
    assert sum(check_types(kernels, converted, conversion).multiplying.values()) == 2


def test_what_is_written_in_fp32_is_told() -> None:
    report = checked(exported(vit_micro, "folded", dynamic=False), "fp16")
    assert [name for name in report.fp32_outputs if "Cast" not in name] == []  # the logits alone


def test_an_engine_in_fp32_is_not_taken_for_fp16() -> None:
    kernels, model, conversion = built(exported(vit_micro, "folded", dynamic=False), "fp32")
    with pytest.raises(InputError, match=r"fp16 was asked for, but \d+ kernels multiply in anothe"):
        check_types(kernels, model, replace(conversion, precision="fp16"))


def test_one_product_left_in_fp32_is_found_unless_it_was_told_to_stay() -> None:
    folded = exported(vit_micro, "folded", dynamic=False)
    one = next(node.name or "" for node in folded.graph if node.op_type == "Gemm")
    kernels, model, conversion = built(folded, "bf16", keep=[one])
    assert [kept.node for kept in conversion.kept] == [one]
    with pytest.raises(InputError, match="bf16 was asked for, but 1 kernels multiply in another"):
        check_types(kernels, model, replace(conversion, kept=()))
    assert check_types(kernels, model, conversion).multiplying["Float"] == 1


def test_a_product_that_did_not_stay_in_fp32_is_refused() -> None:
    """TensorRT-RTX joins the Casts around it, and then stores its weights as infinity."""
    large = np.full((64, 64), 1e5, dtype=np.float32)
    model = graph(
        "float[8,64] x => float[8,64] y",
        "a = MatMul(x, u)  r = Relu(a)  b = MatMul(r, v)  s = Relu(b)  y = MatMul(s, w)",
        u=(64, 64),
        v=large,
        w=(64, 64),
    )
    kernels, converted, conversion = built(model, "fp16", keep=["MatMul_2"])
    with pytest.raises(
        InputError, match=r"MatMul_2 was to stay in fp32, but .* multiplies it in H"
    ):
        check_types(kernels, converted, conversion)


@pytest.mark.parametrize(
    ("signature", "body"),
    [
        ("float[1,64] x => float[1,64] y", "y = MatMul(x, w)"),
        ("float[64] x => float[64] y", "h = MatMul(x, w)  y = Mul(h, x)"),
        ("float[64] x, float[64] z => float y", "y = MatMul(x, z)"),
    ],
)
def test_a_product_that_is_no_gemm_is_held_to_it_as_well(signature: str, body: str) -> None:
    """Of one row, or of two vectors: a generated kernel that multiplies and sums."""
    model = graph(signature, body, w=(64, 64))
    assert checked(model, "fp16").multiplying == {"Half": 1}
    kernels, as_it_was, conversion = built(model, "fp32")
    with pytest.raises(InputError, match=r"1 kernels multiply in another type: .* in Float"):
        check_types(kernels, as_it_was, replace(conversion, precision="fp16"))


@pytest.mark.parametrize("body", ["d = MatMul(x, u)", "d = MatMul(x, u)  e = Relu(d)"])
def test_products_that_nothing_needs_are_not_counted(body: str) -> None:
    model = graph(
        "float[8,64] x => float[8,64] y", f"{body}  y = MatMul(x, v)", u=(64, 64), v=(64, 64)
    )
    report = checked(model, "fp16")
    assert (report.shown, report.products, report.not_shown) == (1, 1, ())


def test_one_of_two_products_that_are_alike_shows_both() -> None:
    model = graph(
        "float[8,64] x => float[8,64] y",
        "a = MatMul(x, u)  b = MatMul(x, u)  r = Relu(b)  y = Add(a, r)",
        u=(64, 64),
    )
    report = checked(model, "fp16")
    assert report.multiplying == {"Half": 1}
    assert (report.shown, report.products, report.not_shown) == (2, 2, ())


# Kernels as a build of `TWO` might give them.


def tensor(type_: str, name: str = "t", dims: tuple[int, ...] = (8, 64)) -> KernelTensor:
    return KernelTensor(name, dims, type_)


def kernel(nodes: str, *reads: str) -> Kernel:
    """A product that computes these nodes and reads tensors of these types."""
    inputs = tuple(tensor(type_, f"t{i}") for i, type_ in enumerate(reads))
    return Kernel("fc", "gemm", "", "", inputs, (), (tensor("Half"),), tuple(nodes.split()))


FIRST, SECOND = kernel("MatMul_0", "Half", "Half"), kernel("MatMul_2 Relu_1", "Half", "Half")


def verdict(
    kernels: Sequence[Kernel], keep: Sequence[str] = (), require: bool = False
) -> TypeReport:
    return check_types(kernels, *to_precision(TWO, "fp16", keep=keep), require=require)


def test_the_kernels_that_are_right() -> None:
    assert verdict([FIRST, SECOND]).multiplying == {"Half": 2}
    kept = kernel("MatMul_2 Relu_1", "Float", "Float")
    assert verdict([FIRST, kept], keep=["MatMul_2"]).multiplying == {"Half": 1, "Float": 1}


@pytest.mark.parametrize("reads", [("Half", "Float"), ("Float",), ("Half", "BFloat16"), ("Int8",)])
def test_kernels_that_are_wrong(reads: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match="fp16 was asked for, but 1 kernels multiply in another"):
        verdict([FIRST, kernel("MatMul_2", *reads)])
    with pytest.raises(InputError, match="fp16 was asked for, but 1 kernels multiply in another"):
        verdict([FIRST, SECOND, kernel("", *reads)])  # one that names no node


def test_a_kernel_of_a_kept_and_another_product_shows_neither() -> None:
    """Which of them reads which tensor is not told."""
    both = kernel("MatMul_0 MatMul_2 Relu_1", "Float", "Half", "Float")
    report = verdict([both], keep=["MatMul_2"])
    assert (report.shown, report.products) == (0, 2)
    assert "MatMul_2, which stays in fp32, together with MatMul_0" in report.not_shown[0].reason
    with pytest.raises(
        InputError, match=r"the type is shown for 0 of 2 products: MatMul_0: .* tog"
    ):
        verdict([both], keep=["MatMul_2"], require=True)


def test_a_kernel_that_names_nothing_may_be_the_one_that_was_to_stay() -> None:
    """MatMul_2 stays in fp32 and no kernel names it; where one does, fp32 is seen to be wrong."""
    nameless = kernel("", "Float", "Float")
    report = verdict([FIRST, nameless], keep=["MatMul_2"])
    assert report.multiplying == {"Half": 1, "Float": 1}
    assert [one.name for one in report.not_shown] == ["MatMul_2"]
    named = kernel("MatMul_2", "Float", "Float")
    with pytest.raises(InputError, match="1 kernels multiply in another type: fc in Float"):
        verdict([FIRST, named, nameless], keep=["MatMul_2"])


def test_what_the_graph_gives_the_product_itself_excuses_nothing() -> None:
    """A graph in fp32 that was to be in fp16: the product's operands are no neighbour's."""
    model, conversion = to_precision(TWO, "fp32")
    asked = replace(conversion, precision="fp16")
    with pytest.raises(InputError, match="1 kernels multiply in another type: fc in Float, Half"):
        check_types([kernel("MatMul_0", "Float", "Half")], model, asked)


def test_a_kept_neighbour_does_not_excuse_a_product() -> None:
    """The Relu reads one fp32 tensor, so a second one is the product's."""
    kept = ["Relu_1"]
    assert verdict([FIRST, kernel("MatMul_2 Relu_1", "Float", "Half")], kept).multiplying
    with pytest.raises(InputError, match="1 kernels multiply in another type: fc in Float"):
        verdict([FIRST, kernel("MatMul_2 Relu_1", "Float", "Float", "Half")], kept)


NORMED = graph(
    "float[8,64] x => float[8,64] y",
    "n = LayerNormalization(x, g, b)  y = MatMul(n, w)",
    g=(64,),
    b=(64,),
    w=(64, 64),
)


@pytest.mark.parametrize(
    ("makers", "dims", "right"),
    [
        ("LayerNormalization_0", (8, 1), True),
        ("LayerNormalization_0", (8, 64), False),  # the normalized tensor, as far as is told
        ("", (8, 1), False),
    ],
)
def test_the_inside_of_a_layer_normalization_is_no_operand(
    makers: str, dims: tuple[int, ...], right: bool
) -> None:
    inner = (tensor("Float", "centred"), tensor("Float", "variance", dims))
    before = Kernel("mean", "kgen", "", "", (), (), inner, tuple(makers.split()))
    reads = (*inner, tensor("Half", "weight"))
    nodes = ("LayerNormalization_0", "MatMul_1")
    kernels = [before, Kernel("fc", "gemm", "", "", reads, (), (tensor("Half"),), nodes)]
    asked = to_precision(NORMED, "fp16")
    if right:
        assert check_types(kernels, *asked).multiplying == {"Half": 1}
    else:
        with pytest.raises(InputError, match="multiply in another type: fc in Float, Half"):
            check_types(kernels, *asked)


@pytest.mark.parametrize(("dims", "right"), [((1, 1), True), ((-1, 1), False), ((-1, -1), False)])
def test_single_numbers_are_no_operands_and_open_sizes_are(
    dims: tuple[int, ...], right: bool
) -> None:
    scaled = replace(SECOND, constants=(tensor("Float", "alpha", dims),))
    if right:
        assert verdict([FIRST, scaled]).multiplying == {"Half": 2}
    else:
        with pytest.raises(InputError, match="multiply in another type: fc in Float, Half"):
            verdict([FIRST, scaled])


@pytest.mark.parametrize(
    ("kernels", "reason"),
    [
        ([], "no kernel names it"),
        ([SECOND], "no kernel names it"),
        ([kernel("MatMul_0")], "does not tell what the kernel fc reads"),
        ([kernel("MatMul_0", "Int32")], "does not tell what the kernel fc reads"),
        (
            [kernel("MatMul_0", "Half", "N/A due to dynamic shapes")],
            "tells 'N/A due to dynamic shapes' for the type of t1, which the kernel fc reads",
        ),
    ],
)
def test_what_tells_nothing_proves_nothing(kernels: Sequence[Kernel], reason: str) -> None:
    report = verdict(kernels)
    assert (report.shown, report.products) == (len([k for k in kernels if k is SECOND]), 2)
    assert report.not_shown[0].name == "MatMul_0" and reason in report.not_shown[0].reason
    with pytest.raises(
        InputError, match=r"shown for . of 2 products: MatMul_0: .*require_types=True"
    ):
        verdict(kernels, require=True)


def test_of_many_products_that_are_not_shown_a_few_are_named() -> None:
    missing = tuple(NotShown(f"fc{n}", "no kernel names it") for n in range(5))
    missing += (NotShown("head", "its type is not told"),)
    report = replace(verdict([]), products=9, shown=3, not_shown=missing)
    assert report.told == (
        "the type is shown for 3 of 9 products (fc0, fc1, fc2 and 2 more: no kernel names it; "
        "head: its type is not told)"
    )


def test_an_engine_that_tells_nothing_is_told_of() -> None:
    assert verdict([FIRST]).untold == ""
    assert verdict([]).untold == (
        "the types of its kernels are not told (MatMul_0: no kernel names it): that it computes in "
        "fp16 is what its graph asks for, and was not seen"
    )


def test_a_kernel_that_names_nothing_and_tells_nothing_is_named_itself() -> None:
    report = verdict([FIRST, SECOND, kernel("")])
    assert (report.shown, report.products) == (2, 2)
    assert [one.name for one in report.not_shown] == ["fc"]
    with pytest.raises(InputError, match="2 of 2 products: fc: TensorRT does not tell what"):
        verdict([FIRST, SECOND, kernel("")], require=True)
