"""PyTorch modules: Unified Normalization; what is done to networks of it is in networks/.

- channel_affine: y = scale * x + shift per channel, and the gradients that training it takes.
- channel_sums: Sums over tokens, one for each channel, without a tensor for the products.
- earlier_states: Takes states that earlier versions of UnifiedNorm saved.
- official: The training rule of the authors' released module, number for number, defects included.
- outlier_tokens: Scales tokens down that have exploded, so that they do not spend their batch.
- paper: The training rule as its paper writes it, per channel and without the released module's
  defects.
- ranks: The processes whose tokens count as one batch, and sums over all of them.
- refusals: What a norm refuses, each in one line, before any statistic has changed.
- robust: The default training rule: outlier batches are normalised by their own moment and
  forgotten.
- rule: What a training rule of Unified Normalization is: settings, state and a forward.
- statistics: Second moments over real tokens and their history; a replayed forward is not counted
  twice.
- unified_norm: Unified Normalization as a module: trains by one of three rules, deploys as a fixed
  affine.
"""

from un_deploy.nn.networks.checkpoint import load_checkpoint, require_trained
from un_deploy.nn.networks.convert import Conversion, convert_norms
from un_deploy.nn.networks.padding_mask import padding
from un_deploy.nn.networks.pretrained import load_pretrained, save_pretrained
from un_deploy.nn.networks.recalibrate import freeze_statistics, recalibrate
from un_deploy.nn.unified_norm import UnifiedNorm

__all__ = [
    "Conversion",
    "UnifiedNorm",
    "convert_norms",
    "freeze_statistics",
    "load_checkpoint",
    "load_pretrained",
    "padding",
    "recalibrate",
    "require_trained",
    "save_pretrained",
]
