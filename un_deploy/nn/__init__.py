"""PyTorch modules: Unified Normalization and the swap of a model's norms."""

from un_deploy.nn.unified_norm import UnifiedNorm

__all__ = ["UnifiedNorm"]
