"""What an environment with the wheel alone, and without torch, must be able to do.

Run by the Python of that environment, in an empty folder; nothing of the checkout is in reach.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnx.numpy_helper
import onnx.parser

import un_deploy

NETWORK = """
    <ir_version: 10, opset_import: ["" : 20]>
    network (float[batch, 4] x) => (float[batch, 3] y) {
        m = Mul(x, a)
        n = Add(m, b)
        y = MatMul(n, w)
    }
"""
NEED_TORCH = {"Conversion", "UnifiedNorm", "convert_norms", "recalibrate"}


def ran(*arguments: str, code: int = 0) -> str:
    """What a command prints on both outputs."""
    command = [str(Path(sys.executable).with_name("un-deploy")), *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == code, f"{arguments}: {done.returncode}, {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def main() -> None:
    """Fold, prove and look, from Python and from the shell."""
    assert "site-packages" in un_deploy.__file__, un_deploy.__file__
    model = onnx.parser.parse_model(NETWORK)
    for name, shape in {"a": (4,), "b": (4,), "w": (4, 3)}.items():
        array = np.random.default_rng(0).uniform(0.5, 1.5, shape).astype(np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    un_deploy.save(model, "network.onnx")
    folded, report = un_deploy.fold(model)
    assert type(folded) is onnx.ModelProto and len(report.folded) == 1
    assert un_deploy.verify(model, folded).verdict == "proven"
    for name in un_deploy.__all__:
        try:
            getattr(un_deploy, name)
            assert name not in NEED_TORCH, name
        except un_deploy.MissingPackageError as error:
            assert name in NEED_TORCH and "un-deploy[torch]" in str(error), error
    assert un_deploy.__version__ in ran("--version")
    assert "1 of 1 norms would fold" in ran("inspect", "network.onnx")
    ran("fold", "network.onnx", "-o", "folded.onnx", "--require-folded", "all")
    assert ran("verify", "network.onnx", "folded.onnx").splitlines().count("proven") == 1
    Path("model.py").write_text("make = None")
    assert "un-deploy[torch]" in ran("export", "model.py:make", "-o", "made.onnx", code=1)
    assert "(base)" in ran("doctor", "--no-load", "--no-gpu")


if __name__ == "__main__":
    main()
