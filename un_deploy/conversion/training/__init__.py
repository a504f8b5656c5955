"""A conversion while training: norms that fade into an affine, and the loss to train with.

- distillation: Trains a converted network to answer as the original does; no labels.
- fading_norm: A LayerNorm that fades into the fixed scale and shift that it comes nearest to.
- schedule: When each LayerNorm of a network fades: one by one, or all inner ones together.
"""
