"""Networks that are not the recipes', small and of real kinds, for what engines tell of them.

- control_flow: networks with an If, a Loop or a Scan, alone and within each other.
- mixed: networks that join transformers with convolutions, recurrent layers, graphs and experts.
- several: networks of several branches, inputs and outputs.
- writer: Writes such a network, an operator or a layer at a time.
"""

from __future__ import annotations

from tests.support.networks.foreign import control_flow, mixed, several
from tests.support.networks.foreign.writer import Network

NETWORKS: dict[str, Network] = {
    network.name: network for room in (several, mixed, control_flow) for network in room.networks()
}
