"""Turns a float32 graph into fp16 or bf16.

- convert: Turns a float32 model into fp16 or bf16 for good, since an engine's types are the
  graph's types.
- insert_casts: Carries out what was decided: converts constants and attributes, puts Casts
  between types.
- out_of_range_masks: Follows a number that a half type does not hold to where it no longer
  matters.
- rounding: What becomes of float32 numbers in fp16 or bf16: overflow, flush to zero, loss of
  digits.
- what_stays_fp32: Decides which operators of a graph stay in fp32 when the rest goes to a half
  type, and why.
"""
