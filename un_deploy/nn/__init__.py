"""PyTorch modules: Unified Normalization and the swap of a model's norms."""
