"""The rewriter: ONNX graphs in, ONNX graphs without their normalizations out."""
