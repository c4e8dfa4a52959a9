"""A UNet whose rows also attend to another row of the batch: the style reference of their job.

As StyleAligned (Hertz et al., arXiv 2312.02133): in self-attention, the queries and keys of a row take over the mean
and deviation of its leader's, and the row attends to the leader's keys and values beside its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from generation.engine.networks.weight_sharing import clone_sharing_weights


class _Leaders(NamedTuple):
    indices: Tensor
    shares: Tensor


class SharedAttentionUnet:
    """A copy of a UNet with shared self-attention; it shares the weights. Calls must not overlap.

    `leaders` has the `indices` of each row's leader (its own for none) and the `shares` that the leader's keys count
    (0 for none), as tensors.
    """

    def __init__(self, unet: Any) -> None:
        self._unet, self._processor = clone_sharing_weights(unet), _SharedAttention()
        self._unet.set_attn_processor(
            {
                name: self._processor if name.endswith("attn1.processor") else processor
                for name, processor in self._unet.attn_processors.items()
            }
        )

    def __call__(self, latents: Tensor, timesteps: Tensor, *, leaders: Mapping[str, Tensor], **conditions: Any) -> Any:
        """Return the UNet's output for rows that have these leaders."""
        self._processor.leaders = _Leaders(**leaders)
        try:
            return self._unet(latents, timesteps, **conditions)
        finally:
            self._processor.leaders = None


class _SharedAttention:
    """Replaces diffusers' AttnProcessor2_0 in self-attention."""

    def __init__(self) -> None:
        self.leaders: _Leaders | None = None

    def __call__(self, attn: Any, hidden_states: Tensor, *_: Any, **__: Any) -> Tensor:
        """Return what the rows see in themselves and their leaders."""
        assert self.leaders is not None, "set by SharedAttentionUnet"
        indices, shares = self.leaders.indices, self.leaders.shares.to(hidden_states.dtype)
        adopted = shares.clamp(max=1)[:, None, None]
        query, key = (_adopt(layer(hidden_states), indices, adopted) for layer in (attn.to_q, attn.to_k))
        value = attn.to_v(hidden_states)
        length = key.shape[1]
        key, value = (torch.cat([each, each[indices]], dim=1) for each in (key, value))
        # The leader's keys count as often as the share says; at 0 they are left out.
        bias = torch.stack([torch.zeros_like(shares), shares.log()], dim=1).repeat_interleave(length, dim=1)
        query, key, value = (split_heads(each, attn.heads) for each in (query, key, value))
        seen = scaled_dot_product_attention(query, key, value, attn_mask=bias[:, None, None])
        output: Tensor = attn.to_out[1](attn.to_out[0](seen.transpose(1, 2).flatten(2))) / attn.rescale_output_factor
        return output


def split_heads(values: Tensor, heads: int) -> Tensor:
    """Return values (rows × tokens × width) by attention head (rows × heads × tokens × width of a head)."""
    rows, length, width = values.shape
    return values.view(rows, length, heads, width // heads).transpose(1, 2)


def _adopt(values: Tensor, indices: Tensor, share: Tensor) -> Tensor:
    """Move each row's mean and deviation over its tokens towards its leader's (AdaIN); a share of 0 changes nothing."""
    mean, deviation = values.mean(1, keepdim=True), values.std(1, correction=0, keepdim=True) + 1e-5
    adopted = (values - mean) / deviation * deviation[indices] + mean[indices]
    return torch.where(share > 0, values + share * (adopted - values), values)
