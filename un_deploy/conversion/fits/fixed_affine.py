"""Makes a UnifiedNorm compute a given affine, with the statistics of the data it was fitted to."""

from __future__ import annotations

import torch

from un_deploy.conversion.fits.least_squares import ChannelFit
from un_deploy.nn import UnifiedNorm


def set_affine(norm: UnifiedNorm, fit: ChannelFit) -> None:
    """Let `norm` compute the fitted affine in evaluation, and train on from there.

    Its statistics become the data's second moment m, as after one batch of all the data, and its
    weight and bias ``scale * sqrt(m + eps)`` and ``shift``.
    """
    scale, shift = fit.affine()
    weight, bias = norm.weight, norm.bias
    assert weight is not None and bias is not None  # `norm` is made with both
    with torch.no_grad():
        norm.reset_running_stats()
        norm.running_var.copy_(fit.second_moment)
        norm.get_buffer("history")[-1] = norm.running_var
        norm.iters.fill_(1)
        weight.copy_(scale * torch.sqrt(norm.running_var.double() + norm.eps))
        bias.copy_(shift)
