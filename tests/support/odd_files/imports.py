"""Domains: imported, not imported, and imported without need."""

from __future__ import annotations

import onnx

from tests.support.odd_files.way import FOLD, behind, network, way, with_all_operators

_GELU = behind("y = com.microsoft.QuickGelu(z)")


@way()
def no_import_of_the_main_domain() -> onnx.ModelProto:
    model = network(imports={"com.microsoft": 1})
    del model.opset_import[0]
    return model


@way()
def the_main_domain_as_ai_onnx() -> onnx.ModelProto:
    model = network()
    model.opset_import[0].domain = "ai.onnx"
    return model


@way()
def operators_of_the_domain_ai_onnx() -> onnx.ModelProto:
    return with_all_operators(domain="ai.onnx")


@way()
def the_main_domain_imported_twice() -> onnx.ModelProto:
    return network(imports={"ai.onnx": 17})


@way()
def imports_that_nothing_needs() -> onnx.ModelProto:
    names = ("com.microsoft", "com.microsoft.nchwc", "ai.onnx.ml", "ai.onnx.training", "own")
    return network(imports=dict.fromkeys(names, 1))


@way()
def a_domain_without_an_import() -> onnx.ModelProto:
    return network(_GELU)


@way()
def a_domain_with_an_import() -> onnx.ModelProto:
    return network(_GELU, imports={"com.microsoft": 1})


@way()
def a_local_function_beside_the_fold() -> onnx.ModelProto:
    model = network(behind("y = own.Squash(z)"), imports={"own": 1})
    model.functions.append(_function("Squash (p) => (q) { r = Relu(p) q = Tanh(r) }"))
    return model


@way()
def a_local_function_that_holds_the_fold() -> onnx.ModelProto:
    text = "(float[B,3,4] x) => (float[B,3,5] y) { y = own.Norm(x, a, b, k) }"
    model = network(text, imports={"own": 1})
    model.functions.append(_function(f"Norm (x, a, b, k) => (y) {{ {FOLD} }}"))
    return model


@way()
def a_local_function_of_another_opset() -> onnx.ModelProto:
    model = network(behind("y = own.Squash(z)"), imports={"own": 1})
    model.functions.append(_function("Squash (p) => (q) { r = Relu(p) q = Tanh(r) }"))
    model.functions[0].opset_import[0].version = 15
    return model


@way()
def a_local_function_that_nobody_calls() -> onnx.ModelProto:
    model = network(imports={"own": 1})
    model.functions.append(_function("Twice (p) => (q) { q = Add(p, p) }"))
    return model


def _function(text: str) -> onnx.FunctionProto:
    return onnx.parser.parse_function(f'<domain: "own", opset_import: ["" : 17]> {text}')
