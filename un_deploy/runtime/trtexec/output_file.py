"""The file of trtexec's ``--exportOutput``: what an engine computed in its last inference.

NVIDIA's samples/common/sampleReporting.cpp, exportJSONOutput, in 10 and 11:
``[{"name": ..., "dimensions": "2x10", "values": [...]}, ...]``, nan and inf as C++ prints them.
"""

from __future__ import annotations

import json
import re
from math import prod

import numpy as np

from un_deploy.errors import InputError

_BARE = re.compile(r"(?<=[\[,\s])-?(?:nan|inf)(?=[\],\s])")
_JSON = {"nan": "NaN", "-nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def parse_output(text: str) -> dict[str, np.ndarray]:
    """Outputs by name, float64, in the shapes that the file tells.

    Raises:
        InputError: the text is of another form, or an output has not as many values as its shape.
    """
    readable = _BARE.sub(lambda found: _JSON[found[0]], text)
    try:
        told = json.loads(readable)
        if not isinstance(told, list):
            raise TypeError("no list")
        outputs = {}
        for one in told:
            dims = tuple(int(size) for size in one["dimensions"].split("x") if size)
            values = np.array(one["values"], dtype=np.float64)
            if values.size != prod(dims):
                raise InputError(f"{one['name']} has {values.size} values for the shape {dims}")
            outputs[str(one["name"])] = values.reshape(dims)
        return outputs
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"these are no outputs of trtexec: {error}") from error
