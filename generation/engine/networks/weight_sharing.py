"""Networks that share their weights with another one, and can be made to work differently."""

from __future__ import annotations

import copy
from itertools import chain
from typing import Any


def clone_sharing_weights(network: Any) -> Any:
    """Give a network with the same weights and buffers, whose layers can be changed without changing the other's.

    Changing the network itself would do so for every thread and every job that uses it.
    """
    weights = {id(tensor): tensor for tensor in chain(network.parameters(), network.buffers())}
    return copy.deepcopy(network, weights)
