"""The type check: refuses an engine with a kernel of another precision than was asked for.

A kernel tells which tensors it reads, with their types, and which ONNX nodes it computes, not which
tensor goes into which node. So the graph is asked: what a kernel reads in another type than that of
its products must be what the graph gives the other nodes in it, such as the fp32 mask that is added
between the two products of an attention, or the inside of a LayerNormalization that another kernel
began: TensorRT takes its statistics in fp32.

What a kernel does not tell is not taken for right: its products are named, and counted as not
shown. Only a kernel that is seen in another type refuses the engine, unless every product must be
shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from un_deploy.arguments.names import argument
from un_deploy.engines.kernels.kernels import Kernel
from un_deploy.engines.kernels.products import needed_products, told_as
from un_deploy.engines.kernels.wanted_types import NAMES, NotToldError, WantedTypes, types_read
from un_deploy.errors import InputError
from un_deploy.graph.precision.convert import Precision, PrecisionReport
from un_deploy.printed import Part, Words

_SHOWN = 5


@dataclass(frozen=True)
class NotShown:
    """A product whose type is not told, or a kernel that names none of its products, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class TypeReport:
    """In which types an engine computes.

    Attributes:
        precision: that was asked for.
        multiplying: how many kernels hold matrix products, convolutions or attention, by the type
            in which they multiply.
        fp32_outputs: kernels that write fp32 although less was asked for: graph outputs, and
            statistics of a LayerNormalization, which TensorRT computes in fp32.
        products: how many the engine has to compute; see `needed_products`.
        shown: how many of them a kernel computes in the type that they must have.
        not_shown: the others. Every kernel that multiplies is held against the precision, whatever
            it names.
    """

    precision: Precision
    multiplying: Mapping[str, int]
    fp32_outputs: tuple[str, ...]
    products: int
    shown: int
    not_shown: tuple[NotShown, ...]

    def __str__(self) -> str:
        return f"the type is shown for {self.shown} of {self.products} products"

    def parts(self) -> Iterator[Part]:
        """As a report of the build has it."""
        counts = ", ".join(f"{n} in {kind}" for kind, n in self.multiplying.items())
        yield f"Kernels that multiply: {counts}; asked for {self.precision}."
        if self.fp32_outputs:
            yield Words(f"Kernels that write fp32: {', '.join(self.fp32_outputs)}", "muted")
        missing = self.not_shown
        yield Words(f"{str(self).capitalize()}.", "bad" if missing else "muted")
        for one in missing[:_SHOWN]:
            yield Words(f"Not shown: {one.name}: {one.reason}", "muted")
        if len(missing) > _SHOWN:
            yield Words(f"... and {len(missing) - _SHOWN} more", "muted")

    @property
    def told(self) -> str:
        """The same, with what is not shown, and why; of many that share a reason a few."""
        by_reason: dict[str, list[str]] = {}
        for one in self.not_shown:
            by_reason.setdefault(one.reason, []).append(one.name)
        missing = "; ".join(f"{_few(names)}: {reason}" for reason, names in by_reason.items())
        return f"{self} ({missing})" if missing else str(self)

    @property
    def untold(self) -> str:
        """What the reader must know of an engine that tells nothing; "" of one that tells.

        It has products, and no kernel is seen to multiply. Strongly typed, it computes as its graph
        says; but nobody has seen it.
        """
        if not self.products or self.multiplying:
            return ""
        first = self.not_shown[0]
        return (
            f"the types of its kernels are not told ({first.name}: {first.reason}): that it "
            f"computes in {self.precision} is what its graph asks for, and was not seen"
        )


def _few(names: Sequence[str], most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def check_types(
    kernels: Sequence[Kernel],
    model: ir.Model,
    conversion: PrecisionReport,
    *,
    require: bool = False,
) -> TypeReport:
    """Hold all kernels of an engine of a model against the precision that was asked for.

    The conversion says what precision every product, convolution and attention must have, and
    which nodes stay in fp32.

    Args:
        require: refuse an engine, too, of which some product's type is not told.

    Raises:
        InputError: a kernel multiplies in another type; what was to stay in fp32 did not; or the
            type of a product is not told, where it has to be.
    """
    precision = conversion.precision
    asked = WantedTypes(model, conversion, kernels)
    told = {node for kernel in kernels if kernel.multiplies for node in asked.products(kernel)}
    # A generated kernel may have a product's name for moving its input, or for being the product.
    multiplying = [
        k for k in kernels if k.multiplies or any(n not in told for n in asked.products(k))
    ]
    found: Counter[str] = Counter()
    nameless: set[str] = set()
    shown: set[ir.Node] = set()
    why: dict[ir.Node, str] = {}
    lost, wrong = [], []
    for kernel in multiplying:
        products = asked.products(kernel)
        try:
            wanted = asked.types_of(kernel)
            type_ = next((one for one in wanted if asked.computes_in(kernel, one)), None)
        except NotToldError as reason:
            why.update(dict.fromkeys(products, str(reason)))
            if not products:
                lost.append(NotShown(kernel.name, str(reason)))
            continue
        if type_ is not None:
            found[type_] += 1
            shown.update(products)
            nameless |= set() if products else {type_}
        elif NAMES[precision] in wanted:
            wrong.append(f"{kernel.name} in {types_read(kernel)}")
        else:
            raise InputError(
                f"{told_as(products[0])} was to stay in fp32, but TensorRT multiplies it in "
                f"{types_read(kernel)} (the kernel {kernel.name}), since what is around it is in "
                f"{precision}: ask for fp32, or for bf16, which has fp32's range and needs no "
                f"exception"
            )
    if wrong:
        raise InputError(
            f"{precision} was asked for, but {len(wrong)} kernels multiply in another type: "
            f"{'; '.join(wrong[:3])}"
        )
    shown |= asked.in_nameless(set() if lost else nameless)
    shown -= why.keys()
    needed = needed_products(model.graph)
    numbers = {needed[node] for node in shown if node in needed}
    missing = [node for node, number in needed.items() if number not in numbers]
    report = TypeReport(
        precision=precision,
        multiplying=dict(found),
        fp32_outputs=tuple(
            kernel.name
            for kernel in kernels
            if precision != "fp32" and any(t.type == NAMES["fp32"] for t in kernel.outputs)
        ),
        products=len(needed),
        shown=len(needed) - len(missing),
        not_shown=(
            *(NotShown(told_as(node), why.get(node, "no kernel names it")) for node in missing),
            *lost,
        ),
    )
    if require and report.not_shown:
        first = report.not_shown[0]
        raise InputError(
            f"{precision} was asked for, but {report}: {first.name}: {first.reason}; leave out "
            f"{argument('require_types', True)}, or ask for a precision that the engine shows"
        )
    return report
