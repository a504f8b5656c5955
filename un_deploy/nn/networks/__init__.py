"""What is done to whole networks of norms: converted, trained with padding, saved and loaded.

- checkpoint: Loads checkpoints strictly, and refuses to deploy norms that never saw data.
- convert: Swaps a model's LayerNorms for Unified Normalization, for nn.Identity, or for any other
  norm.
- kind_of_norm: What kind of normalization a module is: told by its class, else by running a copy
  of it.
- norm_calls: Normalizations that a network computes outside its norms' forwards, found by running
  it.
- padding_mask: Gives a padding mask to the Unified Normalizations inside a network of any
  signature.
- pretrained: Saves converted Hugging Face models with a record of their norms, and loads them
  converted.
- recalibrate: Takes a network's statistics anew from data, or freezes them; weights stay as they
  are.
"""
