"""Where the time of a variant goes, layer by layer.

- groups: What a layer is: a product, attention, a norm, ...; from what it is called and what it
  computes.
- profile_variants: Times the layers of the variants of a comparison, after it, on the backend
  that timed them.
- variant_layers: Where the time of a variant goes: the layers that a runtime runs, in groups of
  what they are.
"""
