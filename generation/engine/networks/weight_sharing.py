"""Copies of networks that share their weights and can be changed separately."""

from __future__ import annotations

import copy
from itertools import chain
from typing import Any


def clone_sharing_weights(network: Any) -> Any:
    """Return a copy with the same weights and buffers, whose layers can be changed separately.

    Changing the network itself would affect every thread and every job that uses it.
    """
    weights = {id(tensor): tensor for tensor in chain(network.parameters(), network.buffers())}
    return copy.deepcopy(network, weights)
