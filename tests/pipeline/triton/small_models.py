"""Models that a server could serve: of images, and of token ids with a mask."""

from __future__ import annotations

from pathlib import Path

from tests.support.graphs import build
from un_deploy.graph.model.model_file import save_model

TWO_INPUTS = "int64[batch,seq] ids, int64[batch,seq] mask => float[batch,seq,4] y"
TWO_BODY = "g = Gather(w, ids)  m = Cast<to=1>(mask)  u = Unsqueeze(m, last)  y = Mul(g, u)"


def image_model(path: Path, batch: str = "batch") -> Path:
    model = build(
        f"float[{batch},3,4,4] x => float[{batch},5] y",
        "f = Flatten(x)  y = MatMul(f, w)",
        w=(48, 5),
    )
    save_model(model, path)
    return path


def token_model(path: Path, signature: str = TWO_INPUTS) -> Path:
    save_model(build(signature, TWO_BODY, w=(9, 4), last=[-1]), path)
    return path
