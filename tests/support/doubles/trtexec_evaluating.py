"""The double of trtexec, with engines that compute: each holds its ONNX file, as plans do here.

``--exportOutput`` is given what onnx's reference evaluator makes of ``--loadInputs``, in the form
of NVIDIA's sampleReporting.cpp. A build tells of one layer for each node, in the types of the ONNX
file; with TRTEXEC_DOUBLE_TYPE all of them are in that one, as those of an engine whose precision
is not the graph's.
"""

from __future__ import annotations

import json
import os
import sys
from math import prod
from pathlib import Path

import trtexec_double as double  # the file beside this one, which is started as a script


def main() -> int:
    code = double.main()
    flags = dict(flag.partition("=")[::2] for flag in sys.argv[1:])
    if "--saveEngine" in flags:
        save_engine(Path(flags["--saveEngine"]), Path(flags["--onnx"]))
        if "--exportLayerInfo" in flags and double.MODE != "no-layers":
            tell_layers(Path(flags["--exportLayerInfo"]), Path(flags["--onnx"]), double.MAJOR)
    if "--exportOutput" in flags:
        outputs = compute(Path(flags["--loadEngine"]), flags["--loadInputs"], flags.get("--shapes"))
        Path(flags["--exportOutput"]).write_text(outputs)
    return code


def save_engine(target: Path, file: Path) -> None:
    """As an engine it holds its weights, which need not lie in the model's file."""
    model = file.read_bytes()
    if b"location" in model:  # of weights in another file
        import onnx

        model = onnx.load(file).SerializeToString()
    target.write_bytes(model)


def tell_layers(target: Path, file: Path, major: int) -> None:
    """What an inspector says of an engine with one layer for each node of the graph."""
    import onnx

    words = {"FLOAT": "Float", "FLOAT16": "Half", "BFLOAT16": "BFloat16", "INT64": "Int64"}
    graph = onnx.shape_inference.infer_shapes(onnx.load(file, load_external_data=False)).graph
    values = (*graph.input, *graph.output, *graph.value_info)
    found = {value.name: value.type.tensor_type.elem_type for value in values}
    found |= {weight.name: weight.data_type for weight in graph.initializer}

    def tensor(name: str) -> dict:
        word = words[onnx.TensorProto.DataType.Name(found[name])]
        word = os.environ.get("TRTEXEC_DOUBLE_TYPE", word)
        kind = {"Format": "Row major linear", "Datatype": word}
        if major < 11:
            kind = {"Format/Datatype": word}
        return {"Name": name, "Dimensions": [2, 2], **kind}

    layers = [
        {
            "Name": node.name or node.output[0],
            "LayerType": "gemm" if node.op_type in ("MatMul", "Gemm", "Conv") else "kgen",
            "Inputs": [tensor(name) for name in node.input if name],
            "Outputs": [tensor(name) for name in node.output],
            "Metadata": f"[ONNX Layer: {node.name}]",
        }
        for node in graph.node
    ]
    target.write_text(json.dumps({"Layers": layers, "Bindings": [], "I/O Tensors": []}))


def compute(engine: Path, inputs: str, shapes: str | None) -> str:
    import numpy as np  # not for every sample: most runs export no output
    import onnx
    from onnx.reference import ReferenceEvaluator

    data = engine.read_bytes()
    model = onnx.load_from_string(data[64:] if data[:4] == b"ftrt" else data)
    files = dict(part.rsplit(":", 1) for part in inputs.split(","))
    sizes = dict(part.rsplit(":", 1) for part in shapes.split(",")) if shapes else {}
    feeds = {}
    for value in model.graph.input:
        kind = value.type.tensor_type
        dims = [int(d) for d in sizes[value.name].split("x")] if sizes else [
            dim.dim_value for dim in kind.shape.dim
        ]  # fmt: skip
        dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)
        array = np.fromfile(files[value.name], dtype=dtype)
        assert array.size == prod(dims), (value.name, array.size, dims)
        feeds[value.name] = array.reshape(dims)
    told = []
    results = ReferenceEvaluator(model).run(None, feeds)
    for value, array in zip(model.graph.output, results, strict=True):
        dims = "x".join(map(str, array.shape))
        values = ", ".join(f"{number:g}" for number in array.ravel())
        told.append(
            f'{{ "name" : "{value.name}", "dimensions" : "{dims}", "values" : [ {values} ] }}'
        )
    return "[\n  " + "\n, ".join(told) + "\n]\n"


if __name__ == "__main__":
    sys.exit(main())
