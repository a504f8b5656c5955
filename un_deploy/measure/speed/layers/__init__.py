"""Where the time of a variant goes, layer by layer.

- groups: Sorts layers into groups (product, attention, norm, ...) by name and by what they compute.
- profile_variants: Times the layers of every variant, after the comparison, on the backend that
  timed them.
- variant_layers: The timed layers of one variant, summed by group, and the sentence on where LN's
  time went.
"""
