"""Export the trained parts as a folder for the stock pipeline, and generate samples with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionPipeline, UniPCMultistepScheduler
from PIL import Image, ImageDraw
from transformers import CLIPTextModel, CLIPTokenizer

from training import text, unet, vae
from training.captions import SYNONYMS
from training.languages import LANGUAGES
from training.settings import (
    EXAMPLES,
    KNOWN,
    MODEL,
    MODEL_NAME,
    SAMPLING,
    TRIGGER_WORDS,
    UNSUPPORTED,
)


def load_trained_pipeline() -> StableDiffusionPipeline:
    """Build the pipeline from the averaged weights of the last checkpoints."""
    autoencoder, denoiser = vae.load_trained_vae(), unet.build_unet()
    denoiser.load_state_dict(torch.load(unet.STATE, weights_only=True, map_location="cpu")["average"])
    vae.silence_variance(autoencoder)
    return StableDiffusionPipeline(
        vae=autoencoder,
        text_encoder=CLIPTextModel.from_pretrained(text.STATE).eval(),
        tokenizer=CLIPTokenizer.from_pretrained(text.TOKENIZER),
        unet=denoiser.eval(),
        scheduler=default_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        image_encoder=None,
        requires_safety_checker=False,
    )


def default_scheduler() -> UniPCMultistepScheduler:
    """Return UniPC, which needs the fewest steps, with the noise schedule of the training."""
    return UniPCMultistepScheduler.from_config(unet.noise_schedule().config)


def export(folder: Path = MODEL) -> None:
    """Write the pipeline in half precision, and its settings."""
    pipeline = load_trained_pipeline()
    # The text encoder stays in float32, because transformers would load it in the precision of its file.
    pipeline.unet.half(), pipeline.vae.half()
    pipeline.save_pretrained(folder, safe_serialization=True)
    (folder / "atelier.json").write_text(json.dumps(model_description(), indent=2, ensure_ascii=False) + "\n")


def model_description() -> dict[str, Any]:
    """Return the contents of atelier.json: defaults for engines, known words and examples for people."""
    return {
        "name": MODEL_NAME,
        "native_size": 256,
        "size_multiple": 32,
        "num_inference_steps": SAMPLING.steps,
        "steps_with_other_samplers": SAMPLING.steps_with_other_samplers,
        "guidance_scale": SAMPLING.guidance,
        "trigger_words": TRIGGER_WORDS,
        "known": {kind: list(words) for kind, words in KNOWN.items()},
        "synonyms": known_synonyms(),
        "unsupported": list(UNSUPPORTED),
        "examples": list(EXAMPLES),
    }


def known_synonyms() -> dict[str, list[str]]:
    """Return the other forms of every known word that captions use, in all languages."""
    forms = {
        word: [*SYNONYMS.get(word, ()), *(form for language in LANGUAGES.values() for form in language.forms(word))]
        for words in KNOWN.values()
        for word in words
    }
    return {word: list(dict.fromkeys(form for form in each if form != word)) for word, each in forms.items()}


def make_sample_sheet(
    pipeline: StableDiffusionPipeline, prompts: list[str], path: Path, seeds: range = range(4)
) -> None:
    """Save a sheet of unselected images: every prompt with the same seeds, two prompts per row."""
    side, label, columns = 128, 16, 2
    rows = -(-len(prompts) // columns)
    sheet = Image.new("RGB", (columns * (len(seeds) * side + 12), rows * (side + label)), (255, 255, 255))
    pen = ImageDraw.Draw(sheet)
    for i, prompt in enumerate(prompts):
        x, y = (i % columns) * (len(seeds) * side + 12), (i // columns) * (side + label)
        pen.text((x + 2, y + 2), prompt, fill=(40, 40, 40))
        for k, image in enumerate(generate_images(pipeline, [prompt] * len(seeds), list(seeds))):
            sheet.paste(image.resize((side, side), Image.Resampling.LANCZOS), (x + k * side, y + label))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, quality=88)


def generate_images(
    pipeline: StableDiffusionPipeline, prompts: list[str], seeds: list[int], size: tuple[int, int] = (256, 256)
) -> list[Image.Image]:
    """Generate an image of each prompt with the default settings and its own seed."""
    pipeline.set_progress_bar_config(disable=True)
    images: list[Image.Image] = pipeline(
        prompts,
        width=size[0],
        height=size[1],
        num_inference_steps=SAMPLING.steps,
        guidance_scale=SAMPLING.guidance,
        generator=[torch.Generator().manual_seed(seed) for seed in seeds],
    ).images
    return images
