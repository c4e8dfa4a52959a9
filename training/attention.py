"""Attention as two plain products, which a CPU learns through faster than through the fused one."""

from __future__ import annotations

from typing import Any

import torch
from diffusers.models.attention_processor import Attention
from torch import Tensor


class PlainAttention:
    """Attend with whole matrices of weights: they are small here, and bfloat16 has no fast fused backward on a CPU."""

    def __call__(
        self, attn: Attention, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, **_: Any
    ) -> Tensor:
        """Return what each position of batch × positions × channels gathers from the text, or from the others."""
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        queries, keys, values = (
            attn.head_to_batch_dim(part) for part in (attn.to_q(hidden_states), attn.to_k(context), attn.to_v(context))
        )
        weights = torch.bmm(queries * attn.scale, keys.transpose(1, 2)).softmax(dim=-1)
        gathered = torch.bmm(weights.to(values.dtype), values)
        made: Tensor = attn.to_out[0](attn.batch_to_head_dim(gathered))
        return made
