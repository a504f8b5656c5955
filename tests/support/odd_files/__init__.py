"""One file for each way in which an ONNX file may be odd, with a norm in it that folds.

- imports: Domains: imported, not imported, and imported without need.
- opsets: Every opset that is read, and the forms that operators had in the older ones.
- optimised: What ONNX Runtime's own optimiser writes.
- order: The order of operators and the names of things.
- tensors: What a file says, or does not say, of types and shapes.
- way: What an odd file is: a network with one norm that folds, changed in one way.
- weights: Where weights are, and in which form.
"""

from __future__ import annotations

from tests.support.odd_files import imports, opsets, optimised, order, tensors, weights
from tests.support.odd_files.way import WAYS, OddFile

__all__ = ["WAYS", "OddFile", "imports", "opsets", "optimised", "order", "tensors", "weights"]
