"""PyTorch modules: Unified Normalization and the swap of a model's norms.

- channel_affine: y = scale * x + shift per channel, and the gradients that training it takes.
- channel_sums: Sums over tokens, one for each channel, without a tensor for the products.
- checkpoint: Loads checkpoints strictly, and refuses to deploy norms that never saw data.
- convert: Swaps a model's LayerNorms for Unified Normalization, for nn.Identity, or for any other
  norm.
- kind_of_norm: What kind of normalization a module is: told by its class, else by running a copy
  of it.
- norm_calls: Normalizations that a network computes outside its norms' forwards, found by running
  it.
- official: The training rule of the authors' released module, number for number, defects included.
- outlier_tokens: Scales tokens down that have exploded, so that they do not spend their batch.
- padding_mask: Gives a padding mask to the Unified Normalizations inside a network of any
  signature.
- paper: The training rule as its paper writes it, per channel and without the released module's
  defects.
- pretrained: Saves converted Hugging Face models with a record of their norms, and loads them
  converted.
- robust: The default training rule: outlier batches are normalised by their own moment and
  forgotten.
- rule: What a training rule of Unified Normalization is: settings, state and a forward.
- statistics: Second moments over real tokens and their history; a replayed forward is not counted
  twice.
- unified_norm: Unified Normalization as a module: trains by one of three rules, deploys as a fixed
  affine.
"""

from un_deploy.nn.checkpoint import load_checkpoint, require_trained
from un_deploy.nn.convert import Conversion, convert_norms
from un_deploy.nn.padding_mask import padding
from un_deploy.nn.pretrained import load_pretrained, save_pretrained
from un_deploy.nn.unified_norm import UnifiedNorm

__all__ = [
    "Conversion",
    "UnifiedNorm",
    "convert_norms",
    "load_checkpoint",
    "load_pretrained",
    "padding",
    "require_trained",
    "save_pretrained",
]
