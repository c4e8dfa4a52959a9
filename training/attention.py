"""Attention as two matrix products, whose backward pass is faster on a CPU than that of fused attention."""

from __future__ import annotations

from typing import Any

import torch
from diffusers.models.attention_processor import Attention
from torch import Tensor


class PlainAttention:
    """Attention with explicit weight matrices: they are small here, and fused bfloat16 attention is slow on a CPU."""

    def __call__(
        self, attn: Attention, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, **_: Any
    ) -> Tensor:
        """Return the attention output, batch × positions × channels: cross-attention with text, else self-attention."""
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        queries, keys, values = (
            attn.head_to_batch_dim(part) for part in (attn.to_q(hidden_states), attn.to_k(context), attn.to_v(context))
        )
        weights = torch.bmm(queries * attn.scale, keys.transpose(1, 2)).softmax(dim=-1)
        gathered = torch.bmm(weights.to(values.dtype), values)
        made: Tensor = attn.to_out[0](attn.batch_to_head_dim(gathered))
        return made
