"""Turns a float32 graph into fp16 or bf16.

- bodies: The bodies of an If, a Loop or a Scan: what is in them, and what crosses their edges.
- convert: Converts a float32 model to fp16 or bf16 for good, since an engine's types are its
  graph's.
- insert_casts: Carries out the conversion: rounds constants, retypes attributes, puts Casts between
  types.
- names: The precisions by name and in words, apart from what converts: to name one costs nothing.
- out_of_range_masks: Finds mask constants too large for fp16 and keeps the operators up to the
  Softmax in fp32.
- rounding: Rounds float32 numbers to fp16 or bf16, and tells what overflows or becomes zero.
- what_stays_fp32: Decides which operators stay in fp32 when the rest of a graph becomes fp16 or
  bf16, and why.
"""
