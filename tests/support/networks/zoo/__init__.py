"""Networks that people have, small, as transformers, diffusers and timm build them.

They come from configurations: nothing is downloaded. A library is imported when one of its
networks is built.

- by_hand: Networks built as the libraries build theirs, in plain PyTorch: they need no library.
- decoders: Networks that write text, of transformers.
- diffusion: Diffusion transformers, of diffusers.
- encoders: Networks that read text, of transformers.
- network: What a network of the zoo is.
- sequences: Networks that turn one sequence into another, or sound into text, of transformers.
- timm_vision: Networks that look at images, of timm.
- trained: Gives a network's norms and everything constant the numbers of training.
- vision: Networks that look at images, of transformers.
"""

from __future__ import annotations

from tests.support.networks.zoo import decoders, diffusion, encoders, sequences, timm_vision, vision
from tests.support.networks.zoo.network import Network

NETWORKS: dict[str, Network] = {
    network.name: network
    for room in (encoders, decoders, sequences, vision, diffusion, timm_vision)
    for network in room.NETWORKS
}
