"""ONNX operators that no rule knows, as far as something is known of them."""

from __future__ import annotations

from un_deploy.graph.fold.rules.operator import Group, Operator

_ONLY_GROUP: dict[Group, str] = {
    "products": "MatMulInteger ConvInteger QLinearMatMul QLinearConv",
    "normalization": "LpNormalization MeanVarianceNormalization",
    "activation": """
        Gelu Elu Selu Celu ThresholdedRelu HardSigmoid HardSwish Swish Mish
        Sigmoid Tanh Erf Softplus Softsign Softmax LogSoftmax
    """,
    "elementwise": """
        Pow Sqrt Reciprocal Exp Log Sin Cos Tan Sign Floor Ceil Round Clip Min Max Mean Mod
        And Or Xor Not Equal Less Greater LessOrEqual GreaterOrEqual IsNaN IsInf BitShift
    """,
    "layout": """
        CastLike Shape Size ConstantOfShape Range
    """,
}

OPERATORS: dict[str, Operator] = {
    "Attention": Operator("attention", multiplies=True),
    "BatchNormalization": Operator("normalization", subtracts=(3,), weighs=True, uniform=True),
    "CumSum": Operator(sums=True),
    "Constant": Operator("layout", moves=True),
    **{name: Operator(group) for group, names in _ONLY_GROUP.items() for name in names.split()},
}
