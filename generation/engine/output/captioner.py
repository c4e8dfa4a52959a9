"""Describe pictures in sentences, with the captioner that the bot operator has chosen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from PIL import Image
from safetensors import SafetensorError

from generation.engine.device.oom import is_out_of_memory
from generation.errors import UserError
from generation.models.files.captioner import QUESTIONS, require_captioner
from generation.planning.descriptions import DESCRIPTIONS

MAX_TOKENS = 60  # of a caption
TOP_P = 0.9  # the share of the likeliest words that a caption is sampled from


class Captioner:
    """A model that describes a picture in a sentence, on the CPU; `question` is what it is asked, if anything."""

    def __init__(self, model: Any, processor: Any, question: str) -> None:
        self._model, self._processor = model, processor
        self._asked = {"text": question} if question else {}

    def captions(self, image: Image.Image, seed: int) -> Iterator[str]:
        """Yield descriptions of a picture; with a seed of 0 the first is the likeliest, all others are sampled."""
        inputs = self._processor(images=image, return_tensors="pt", **self._asked)
        for number in range(DESCRIPTIONS):
            yield self._caption(inputs, seed * DESCRIPTIONS + number)

    @torch.inference_mode()
    def _caption(self, inputs: Any, seed: int) -> str:
        sampling = {"do_sample": True, "top_p": TOP_P, "num_beams": 1} if seed else {"do_sample": False}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            tokens = self._model.generate(**inputs, max_new_tokens=MAX_TOKENS, **sampling)
        (text,) = self._processor.batch_decode(tokens, skip_special_tokens=True)
        return " ".join(text.split()).rstrip(".")


def load_captioner(ref: str) -> Captioner | None:
    """Load the captioner at `ref`, a folder or a hub id, onto the CPU; None for "".

    Raises UserError for a model that is no captioner, OSError for a missing one.
    """
    if not ref:
        return None
    import transformers  # on demand: most installations have none

    kind = transformers.PretrainedConfig.get_config_dict(ref)[0].get("model_type")
    require_captioner(ref, kind)
    classes = {
        "blip": transformers.BlipForConditionalGeneration,
        "florence2": transformers.Florence2ForConditionalGeneration,
    }
    try:
        model, found = classes[str(kind)].from_pretrained(
            ref, use_safetensors=True, trust_remote_code=False, output_loading_info=True
        )
        processor = transformers.AutoProcessor.from_pretrained(ref, trust_remote_code=False)
    except (ImportError, SafetensorError, RuntimeError, ValueError, TypeError, KeyError, AttributeError) as error:
        if isinstance(error, RuntimeError) and is_out_of_memory(error):
            raise
        raise UserError(f"DESCRIBER {ref} cannot be loaded: {type(error).__name__}: {error}") from error
    if missing := found["missing_keys"]:  # those would be random
        raise UserError(f"DESCRIBER {ref} lacks {len(missing)} of its weights, {min(missing)} among them.")
    return Captioner(model.eval(), processor, QUESTIONS[str(kind)])
