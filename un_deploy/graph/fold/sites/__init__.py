"""What counts as a scale and shift, operator by operator, and what becomes of those that stay.

- affine_steps: Single operators that are affine: y = scale * x + shift with constants, in every
  spelling.
- beside_linear: Scalar factors and biases that the linear operator next to them can take in.
- bodies: The bodies of If, Loop and Scan, each as a model of its own.
- branches: Affines of one tensor that meet in a sum: a x + c x + b, x - a x.
- no_norms: Factors that vary over axes and are no norms: rotary tables, and the scales of logits.
- norm_operators: Takes scale and shift out of LayerNormalization and its like, so that they can be
  folded.
- repeated: A constant behind Expand, Tile or ConstantOfShape, which repeat it, often for an open
  batch.
- shorten: Affines in a row that cannot leave become one: a BatchNormalization, or a Mul and an Add.
- told: What a report tells of each norm, while the rounds of a fold change the graph.
"""
