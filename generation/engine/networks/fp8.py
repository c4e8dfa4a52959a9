"""Linear layers that multiply in 8 bits (float8, e4m3): half the memory, and on new GPUs about twice the rate.

Weights are rounded once, with a scale for each output channel, and inputs at each call, with a scale for each row. One
scale for a whole input would let the jobs of a call change each other's images.
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from torch import Tensor
from torch.nn import Linear, Module, Parameter

FP8 = torch.float8_e4m3fn
LARGEST = torch.finfo(FP8).max
SMALLEST = 1e-12  # of a row's values; a row of zeros has no scale
MULTIPLE = 16  # torch multiplies only layers whose widths are multiples of it
TEXT_LAYERS = ("attn2.to_k", "attn2.to_v")
PRODUCT = torch.bfloat16  # the only precision that products with a scale for each row have on every GPU


class Fp8Linear(Linear):
    """A linear layer with weights in 8 bits; what it takes and returns has the precision of the other layers."""

    weight_scales: Tensor

    def __init__(self, layer: Linear) -> None:
        Module.__init__(self)  # without sampling weights first
        self.in_features, self.out_features, self.bias = layer.in_features, layer.out_features, layer.bias
        weight, scales = round_rows(layer.weight.detach())
        self.weight = Parameter(weight, requires_grad=False)
        self.register_buffer("weight_scales", scales.T.contiguous())

    def forward(self, values: Tensor) -> Tensor:
        """Return the layer's output."""
        rows, scales = round_rows(values.reshape(-1, self.in_features))
        product = torch._scaled_mm(rows, self.weight.T, scale_a=scales, scale_b=self.weight_scales, out_dtype=PRODUCT)
        output = product.to(values.dtype).view(*values.shape[:-1], self.out_features)
        return output if self.bias is None else output + self.bias


def round_rows(values: Tensor) -> tuple[Tensor, Tensor]:
    """Return the rows of a matrix in 8 bits, and the scale of each (N×1): rows times scales are the values."""
    values = values.float()
    scales = values.abs().amax(1, keepdim=True).clamp(min=SMALLEST) / LARGEST
    return (values / scales).to(FP8), scales


def use_fp8(unet: Any) -> None:
    """Replace the linear layers of a UNet's transformers for good; those whose width torch cannot multiply stay.

    So do layers with few rows, where images lose more than time is gained: those of texts and of time steps. torch has
    no convolutions in 8 bits.
    """
    for transformer in [module for module in unet.modules() if isinstance(module, Transformer2DModel)]:
        for path, parent in list(transformer.named_modules()):
            for name, layer in list(parent.named_children()):
                if type(layer) is Linear and _fits(layer) and not f"{path}.{name}".endswith(TEXT_LAYERS):
                    setattr(parent, name, Fp8Linear(layer))


def _fits(layer: Linear) -> bool:
    return not (layer.in_features % MULTIPLE or layer.out_features % MULTIPLE)
