"""PyTorch modules: Unified Normalization and the swap of a model's norms."""

from un_deploy.nn.checkpoint import load_checkpoint, require_trained
from un_deploy.nn.convert import Conversion, convert_norms
from un_deploy.nn.unified_norm import UnifiedNorm

__all__ = ["Conversion", "UnifiedNorm", "convert_norms", "load_checkpoint", "require_trained"]
