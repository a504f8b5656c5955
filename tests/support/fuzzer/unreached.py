"""The reasons that no random graph comes to, each with why and with the test that holds it."""

from __future__ import annotations

_INVALID = "no runtime takes such a graph: "
_RULES = "tests/graph/fold/rules/test_"
_INTERNAL = "solve gives no such solution: tests/graph/fold/solving/test_solve.py"
_ALONE = "a report tells why scale and shift do not go together: "
_ASSIGNMENT = "tests/graph/fold/solving/test_assignment.py"
_CONTRADICTED = "the file contradicts its operators: "
_SITES = "tests/graph/fold/test_find_sites.py"

REASONS = {
    "graph_view: _ is a _ without its scale and shift": (
        f"graphs are folded with norms' own scale and shift in place: {_RULES}measuring_norm.py"
    ),
    "rules/channel: its bias is not one number for each channel": f"{_INVALID}{_RULES}conv.py",
    "rules/gather_slice: it picks beyond the end of its axis": f"{_INVALID}{_RULES}gather_slice.py",
    "rules/gemm: its weight is no matrix": f"{_INVALID}{_RULES}gemm.py",
    "rules/measuring_norm: its scale has another type than what it measures": (
        f"{_INVALID}{_RULES}measuring_norm.py"
    ),
    "rules/product: the shape of _ is unknown": f"{_CONTRADICTED}{_RULES}product.py",
    "rules/pad: its widths do not fit the tensor": f"{_INVALID}{_RULES}pad.py",
    "rules/reduce: the shape of _ is unknown": f"{_CONTRADICTED}{_RULES}reduce.py",
    "rules/resize: its sizes do not fit the tensor": f"{_INVALID}{_RULES}resize.py",
    "rules/resize: the shape of what it resizes is unknown": f"{_CONTRADICTED}{_RULES}resize.py",
    "sites/affine_steps: it is in training mode; export the network in eval mode": (
        f"ONNX Runtime computes none: {_SITES}"
    ),
    "sites/affine_steps: its parameters are not one number for each channel": (
        f"{_INVALID}{_SITES}"
    ),
    "solving/assignment: _ would be left with more than a shift": f"{_ALONE}{_ASSIGNMENT}",
    "solving/propagate: _ does not agree with the gauge of its _put": _INTERNAL,
    "solving/propagate: _ loses a channel on the way of another norm": (
        "the one in front folds first, and another round follows: "
        "tests/graph/fold/solving/test_propagate.py"
    ),
    "solving/propagate: _ would vanish, but its ends do not differ by it": _INTERNAL,
    "solving/propagate: _, and was given a scale or shift": _INTERNAL,
    "solving/solve: a modulation would take in a shift without bounds": (
        f"its numbers are beyond 1e300: {_RULES}modulation.py"
    ),
    "solving/solve: it takes in the scale and shift of another norm": (
        f"another round follows where a norm takes in another: {_ASSIGNMENT}"
    ),
    "solving/solve: the shift that stays would leave the range of _": f"{_ALONE}{_ASSIGNMENT}",
    "solving/solve: the type of _ is not known to be floating": (
        f"{_INVALID}tests/graph/fold/solving/test_solve.py"
    ),
    "solving/solve: what it computes in opset _ is not known": (
        "graphs are drawn in opsets that the fold knows: tests/graph/fold/sites/test_shorten.py"
    ),
}
