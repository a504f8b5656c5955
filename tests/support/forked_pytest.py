"""Runs pytest again and again without loading the libraries anew: each time in a fork.

``python -m tests.support.forked_pytest SECONDS``, in the folder of the project: for every line of
standard input, a list of pytest's arguments in JSON, it prints its exit code and output, in JSON.
A run that takes longer than SECONDS is killed. Nothing of the project itself is loaded beforehand,
so every run reads it as it then is.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile

import hypothesis  # noqa: F401  (what takes most of the time to load)
import ml_dtypes  # noqa: F401
import numpy  # noqa: F401
import onnx.reference  # noqa: F401
import onnx_ir  # noqa: F401
import onnx_shape_inference  # noqa: F401
import pytest
import sympy  # noqa: F401


def run(arguments: list[str], seconds: int) -> tuple[int, str]:
    """Exit code, negative where a signal ended it, and output of one run."""
    with tempfile.TemporaryFile("w+") as output:
        child = os.fork()
        if child == 0:
            signal.alarm(seconds)
            for stream in (1, 2):
                os.dup2(output.fileno(), stream)
            code = pytest.main(arguments)
            sys.stdout.flush()
            os._exit(code)
        _, status = os.waitpid(child, 0)
        output.seek(0)
        return os.waitstatus_to_exitcode(status), output.read()


if __name__ == "__main__":
    assert not any(name.split(".")[0] == "un_deploy" for name in sys.modules)
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line), int(sys.argv[1]))), flush=True)
