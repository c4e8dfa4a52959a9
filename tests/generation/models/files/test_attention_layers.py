"""The layers of UNets that attend to texts, counted without torch; the UNets themselves are the oracle."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel

from generation.engine.networks.image_attention import cross_attention_layers
from generation.models.catalogue import Family
from generation.models.files.attention_layers import OF_FAMILY, count_in_config, count_in_weights

XL = {
    "block_out_channels": (32, 64, 128),
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    "transformer_layers_per_block": [1, 2, 10],
}
SMALL = {
    "block_out_channels": (32, 64, 128),
    "down_block_types": ["CrossAttnDownBlock2D"] * 3,
    "up_block_types": ["CrossAttnUpBlock2D"] * 3,
    "layers_per_block": 1,
    "mid_block_type": None,
}
NESTED = XL | {
    "transformer_layers_per_block": [1, [2, 2], [4, 4]],
    "reverse_transformer_layers_per_block": [[4, 4, 10], [2, 1, 1], 1],
    "mid_block_type": None,
}


@pytest.mark.parametrize("changes", [{}, XL, SMALL, NESTED])
def test_they_are_counted_as_the_unet_has_them(changes: dict[str, Any]) -> None:
    with torch.device("meta"):
        unet = UNet2DConditionModel(**changes, attention_head_dim=4)
    expected = len(cross_attention_layers(unet))
    assert count_in_config(dict(unet.config)) == expected
    assert count_in_weights(unet.state_dict()) == expected


def test_the_published_models_have_the_usual_numbers() -> None:
    with torch.device("meta"):
        counted = [len(cross_attention_layers(UNet2DConditionModel(**changes))) for changes in ({}, XL)]
    assert counted == [OF_FAMILY[Family.SD1], OF_FAMILY[Family.SDXL]]


@pytest.mark.parametrize("config", [{}, {"cross_attention_dim": 768}, {"down_block_types": 3, "up_block_types": []}])
def test_what_a_configuration_does_not_tell_is_unknown(config: dict[str, Any]) -> None:
    assert count_in_config(config) is None
