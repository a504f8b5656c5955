"""Stand-ins for TensorRT plans: the header of a real one, and a manifest as the build writes it.

A real plan of standard TensorRT needs a GPU to be built. Nothing here is ever run.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import onnx_ir as ir

IMAGE = {"name": "x", "dtype": "float", "shape": ["batch", 3, 32, 32], "format": "chw"}
VERSION = bytes((10, 16, 1, 11))
LOGITS = {"name": "y", "dtype": "float", "shape": ["anything", 10], "format": "chw"}


def profile(low: int, opt: int, high: int) -> dict[str, dict[str, list[int]]]:
    """Of IMAGE, for batches of these sizes."""
    sizes = {"min": low, "opt": opt, "max": high}
    return {"x": {key: [size, 3, 32, 32] for key, size in sizes.items()}}


def write_plan(
    path: Path, *, magic: bytes | None = None, body: int | bytes = 100, **changes: Any
) -> Path:
    """A file with a plan's header, and the manifest of an image classifier beside it.

    Args:
        path: of the plan.
        magic: its first bytes; None: those of the flavour.
        body: what comes after the header of 64 bytes, or how many.
        changes: to the manifest; None takes a key out.
    """
    if magic is None:
        magic = b"vtrt" if changes.get("flavor") == "tensorrt-rtx" else b"ftrt"
    rest = bytes(range(body)) if isinstance(body, int) else body
    size = 64 + len(rest)
    data = magic + bytes(12) + size.to_bytes(8, "little") + VERSION + bytes(36) + rest
    path.write_bytes(data)
    manifest: dict[str, Any] = {
        "version": 1,
        "flavor": "tensorrt",
        "tensorrt": "10.16.1.11",
        "sha256": hashlib.sha256(data).hexdigest(),
        "bytes": size,
        "precision": "fp16",
        "profiles": [profile(1, 4, 8)],
        "inputs": [IMAGE],
        "outputs": [LOGITS],
        "options": [],
        "compute_capabilities": [],
        "memory": {},
        "source": "net.onnx",
        "source_sha256": "",
        "un_deploy": "0.1.0",
    } | changes
    manifest = {key: value for key, value in manifest.items() if value is not None}
    path.with_name(f"{path.name}.json").write_text(json.dumps(manifest))
    return path


def plan_of(path: Path, model: ir.Model, **changes: Any) -> Path:
    """A plan that holds a graph, which the evaluating double of trtexec computes.

    Args:
        path: of the plan.
        model: what it holds; its manifest has no profiles.
        changes: to the manifest, or to what `write_plan` takes.
    """
    ends = {
        name: [
            {
                "name": value.name,
                "dtype": value.dtype.name.lower(),
                "shape": [d if isinstance(d, int) else d.value for d in value.shape],
                "format": "chw",
            }
            for value in getattr(model.graph, name)
        ]
        for name in ("inputs", "outputs")
    }
    given = {
        "body": ir.to_proto(model).SerializeToString(),
        "profiles": [],
        "precision": "fp32",
        "source": f"{path.stem}.onnx",
    }
    return write_plan(path, **{**ends, **given, **changes})
