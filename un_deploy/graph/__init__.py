"""The rewriter: ONNX graphs in, ONNX graphs without their normalizations out.

- analysis/: What is known of a graph without changing it: shapes, constants, types, norms.
- fold/: Folds scale and shift into the linear operators around them.
- model/: Models as they come: files, the kinds that users hold, what must be true of each.
- precision/: Turns a float32 graph into fp16 or bf16.
- proof/: Proves a fold by parts: what it did not touch, what it touched, and every constant.
- strip/: Takes norms out without folding them, for measuring: the answers change.
"""
