"""Tiny captioners with random weights, as folders in their real layouts."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from transformers import (
    BertTokenizer,
    BlipConfig,
    BlipForConditionalGeneration,
    BlipImageProcessorPil,
    BlipProcessor,
)

WORDS = ("a", "red", "blue", "boat", "house", "on", "the", "sea", "hill", "at", "night")
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def build_tiny_blip(folder: Path) -> Path:
    """Write a BLIP that says random words; the weights are the same every time."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join((*SPECIAL, *WORDS)))
    tokenizer = BertTokenizer(str(folder / "vocab.txt"))
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    text = {"vocab_size": len(tokenizer), "encoder_hidden_size": 16, "max_position_embeddings": 80, "is_decoder": True}
    tokens = {"bos_token_id": 2, "pad_token_id": 0, "eos_token_id": 3, "sep_token_id": 3}
    config = BlipConfig(
        text_config=sizes | text | tokens, vision_config=sizes | {"image_size": 32, "patch_size": 16}, projection_dim=8
    )
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = BlipForConditionalGeneration(config)
    model.save_pretrained(folder)
    images = BlipImageProcessorPil(size={"height": 32, "width": 32})
    BlipProcessor(image_processor=images, tokenizer=tokenizer).save_pretrained(folder)
    assert json.loads((folder / "config.json").read_text())["model_type"] == "blip"
    return folder
