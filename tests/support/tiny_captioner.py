"""Tiny captioners with random weights, as folders in their real layouts."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from transformers import (
    BartConfig,
    BartTokenizer,
    BertTokenizer,
    BlipConfig,
    BlipForConditionalGeneration,
    BlipImageProcessorPil,
    BlipProcessor,
    CLIPImageProcessorPil,
    Florence2Config,
    Florence2ForConditionalGeneration,
    Florence2Processor,
    Florence2VisionConfig,
)

from tests.support.tiny_model import byte_alphabet

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


def build_tiny_florence(folder: Path) -> Path:
    """Write a Florence-2 that says random words; the weights are the same every time."""
    side, image_tokens = 64, 5  # it halves a picture five times, and adds what the whole shows
    tokenizer = _byte_tokenizer()
    text = BartConfig(
        vocab_size=len(tokenizer), d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, max_position_embeddings=128,
        bos_token_id=0, pad_token_id=1, eos_token_id=2, decoder_start_token_id=2, forced_eos_token_id=2,
    )  # fmt: skip
    vision = Florence2VisionConfig(
        depths=(1, 1, 1, 1), embed_dim=(8, 8, 8, 16), num_heads=(1, 1, 1, 1), num_groups=(1, 1, 1, 1), window_size=2,
        projection_dim=16,
    )  # fmt: skip
    config = Florence2Config(text_config=text, vision_config=vision, image_token_id=tokenizer.image_token_id)
    with torch.random.fork_rng():
        torch.manual_seed(4)
        model = Florence2ForConditionalGeneration(config)
    model.save_pretrained(folder)
    images = CLIPImageProcessorPil(
        size={"height": side, "width": side}, crop_size={"height": side, "width": side}, do_center_crop=False
    )
    images.image_seq_length = image_tokens
    Florence2Processor(image_processor=images, tokenizer=tokenizer).save_pretrained(folder)
    return folder


def _byte_tokenizer() -> BartTokenizer:
    """Return a tokenizer that knows the bytes."""
    letters = byte_alphabet()
    vocab = {piece: index for index, piece in enumerate(("<s>", "<pad>", "</s>", "<unk>", "<mask>", *letters))}
    return BartTokenizer(vocab=vocab, merges=[], extra_special_tokens={"image_token": "<image>"})
