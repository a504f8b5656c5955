"""Norms that measure their input at run time: as one operator, or written out by an exporter.

- deviation: Finds what a norm measures: a square root of a variance, or of a mean of squares.
- find_norms: Finds them all, with the operators behind them that are their scale and shift.
- norm: What is known of one.
- operators: The operators that are such a norm, of ONNX and of ONNX Runtime.
- terms: What the operators of a norm compute, in terms of x, its mean and its deviation.
- written_out: Recognises LayerNormalization and RMSNorm in the operators that exporters write.
"""
