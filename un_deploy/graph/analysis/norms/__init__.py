"""Norms that measure their input at run time: as one operator, or written out by an exporter.

- find_norms: Finds them all, with the operators behind them that are their scale and shift.
- norm: What is known of one.
- operators: The operators that are such a norm, of ONNX and of ONNX Runtime.
- written_out: Recognises LayerNormalization and RMSNorm in the operators that exporters write.
"""
