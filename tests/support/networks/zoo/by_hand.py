"""Networks built as the libraries build theirs, in plain PyTorch: they need no library."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tests.support.networks.language import Bert, Config, Llama
from tests.support.networks.zoo.network import BATCH, Inputs, Network

_WIDTH, _QUERIES = 16, 5


class _Attention(nn.Module):
    """Between queries and keys of their own, as in DETR: values have no positions."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(_WIDTH, _WIDTH) for _ in range(4))

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        logits = self.query(queries) @ self.key(keys).transpose(1, 2) * _WIDTH**-0.5
        return self.out(logits.softmax(-1) @ self.value(values))


class _Layer(nn.Module):
    """Three residual branches, each followed by its norm."""

    def __init__(self) -> None:
        super().__init__()
        self.own, self.cross = _Attention(), _Attention()
        self.norms = nn.ModuleList(nn.LayerNorm(_WIDTH) for _ in range(3))
        self.inner, self.outer = nn.Linear(_WIDTH, 24), nn.Linear(24, _WIDTH)

    def forward(self, x: Tensor, table: Tensor, image: Tensor) -> Tensor:
        x = self.norms[0](x + self.own(x + table, x + table, x))
        x = self.norms[1](x + self.cross(x + table, image, image))
        return self.norms[2](x + self.outer(self.inner(x).relu()))


class DetrDecoder(nn.Module):
    """DETR's: begins with zeros; a table, repeated for the batch, is added in all layers."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(_QUERIES, _WIDTH)
        self.layers = nn.ModuleList(_Layer() for _ in range(2))
        self.norm, self.head = nn.LayerNorm(_WIDTH), nn.Linear(_WIDTH, 4)

    def forward(self, image: Tensor) -> Tensor:
        table = self.table.weight.unsqueeze(0).repeat(image.shape[0], 1, 1)
        x = torch.zeros_like(table)
        for layer in self.layers:
            x = layer(x, table, image)
        return self.head(self.norm(x))


def _words() -> Inputs:
    return {"input_ids": torch.randint(Config.vocab_size, (BATCH, 5))}


def _image() -> Inputs:
    return {"image": torch.randn(BATCH, 7, _WIDTH)}


_OPEN = {"input_ids": {0: "batch"}}

NETWORKS = [
    Network("BERT, by hand", "torch", lambda: Bert(Config()), _words, _OPEN),
    Network(
        "Llama, by hand", "torch", lambda: Llama(Config()), _words, {"input_ids": {0: "batch"}}
    ),
    Network("DETR, by hand", "torch", DetrDecoder, _image, {"image": {0: "batch", 1: "places"}}),
]
