"""A norm whose inference graph has the shape of the released module: layout pairs all round it."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ReleasedStyleNorm(nn.Module):
    """`weight * x / sqrt(running_var + eps) + bias`, computed channel first on four axes.

    The released UN module moves the channels to axis 1, flattens what follows, appends an axis
    and undoes all of it afterwards, so an exporter leaves Transpose, Reshape, Unsqueeze, Div, Mul,
    Add, Reshape, Transpose. Parameters and buffers are named as in `UnifiedNorm`, so statistics
    can be copied between the two. Inference only.

    Args:
        num_channels: length C of the input's last axis.
        eps: added to the running second moment.
    """

    running_var: Tensor

    def __init__(self, num_channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.num_channels = num_channels
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(num_channels))
        self.bias = nn.Parameter(torch.zeros(num_channels))
        self.register_buffer("running_var", torch.ones(num_channels))

    def forward(self, x: Tensor) -> Tensor:
        """Scale and shift x, shaped (B, N, C) or, one sequence, (N, C)."""
        if x.dim() not in (2, 3):
            raise ValueError(f"expected an input of rank 2 or 3, got {tuple(x.shape)}")
        single = x.dim() == 2
        if single:
            x = x.unsqueeze(0)
        channel_first = x.transpose(1, 2)
        batch, channels, tokens = channel_first.shape
        columns = channel_first.contiguous().view(batch, channels, -1).unsqueeze(-1)
        per_channel = (1, self.num_channels, 1, 1)
        z = columns / torch.sqrt(self.running_var + self.eps).reshape(per_channel)
        y = self.weight.reshape(per_channel) * z + self.bias.reshape(per_channel)
        y = y.reshape(batch, channels, tokens).transpose(1, 2)
        return y.squeeze(0) if single else y
