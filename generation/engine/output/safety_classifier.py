"""Detect sensitive images with the classifier that the bot operator has chosen."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from generation.errors import UserError

SENSITIVE_LABELS = re.compile(r"nsfw|porn|hentai|sexy|nude|explicit|unsafe|gore", re.IGNORECASE)
THRESHOLD = 0.5  # for the sum of the probabilities of all sensitive labels
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


class SafetyClassifier(Protocol):
    """Detects sensitive images in a result."""

    def is_sensitive(self, images: Sequence[Image.Image]) -> bool:
        """Return whether one of the images is sensitive."""


class NullClassifier:
    """The classifier where none is configured."""

    def is_sensitive(self, images: Sequence[Image.Image]) -> bool:
        """Return False."""
        return False


NO_CLASSIFIER = NullClassifier()


class LabelClassifier:
    """An image classifier such as a ViT, some of whose labels mean that an image is sensitive."""

    def __init__(self, model: Any, processor: _ImageProcessor) -> None:
        self._model, self._processor = model, processor
        labels: dict[int, str] = model.config.id2label
        self._sensitive_ids = [number for number, label in labels.items() if SENSITIVE_LABELS.search(label)]
        if not self._sensitive_ids:
            raise UserError(
                f"SENSITIVE_CLASSIFIER has no label for sensitive pictures among {sorted(labels.values())}."
            )

    @torch.inference_mode()
    def is_sensitive(self, images: Sequence[Image.Image]) -> bool:
        """Return whether one of the images is sensitive."""
        logits = self._model(pixel_values=self._processor.preprocess(images, self._model.device)).logits
        probabilities = logits.float().softmax(-1)[:, self._sensitive_ids].sum(-1)
        return bool((probabilities >= THRESHOLD).any())


class ConceptClassifier:
    """The safety checker that comes with Stable Diffusion."""

    def __init__(self, model: Any, processor: _ImageProcessor) -> None:
        self._model, self._processor = model, processor

    @torch.inference_mode()
    def is_sensitive(self, images: Sequence[Image.Image]) -> bool:
        """Return whether one of the images is sensitive."""
        # It blacks out sensitive images in its second argument, which is not used here.
        unused = np.zeros((len(images), 1, 1, 3), dtype=np.float32)
        _, found = self._model(clip_input=self._processor.preprocess(images, self._model.device), images=unused)
        return any(found)


class _ImageProcessor:
    """Converts images to a vision model's input, without torchvision, which transformers' own processors need.

    The whole image is squeezed into the square: cropped edges would not be checked.
    """

    def __init__(self, side: int, mean: Sequence[float], std: Sequence[float]) -> None:
        self._side = side
        self._mean = torch.tensor(mean).reshape(3, 1, 1)
        self._std = torch.tensor(std).reshape(3, 1, 1)

    def preprocess(self, images: Sequence[Image.Image], device: torch.device) -> Tensor:
        """Return N×3×side×side."""
        size = (self._side, self._side)
        arrays = [np.asarray(image.convert("RGB").resize(size, Image.Resampling.BICUBIC)) for image in images]
        pixels = torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).float() / 255
        return ((pixels - self._mean) / self._std).to(device)


def load_classifier(ref: str) -> SafetyClassifier:
    """Load the classifier at `ref`, a folder or a hub id, onto the CPU; "" means none.

    Raises UserError for a model that is not a classifier, OSError for a missing one.
    """
    if not ref:
        return NO_CLASSIFIER
    import transformers  # on demand: most servers have no classifier

    config = transformers.PretrainedConfig.get_config_dict(ref)[0]
    architecture = (config.get("architectures") or [""])[0]
    if architecture == "StableDiffusionSafetyChecker":
        from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker

        checker = StableDiffusionSafetyChecker.from_pretrained(ref, use_safetensors=True).eval()
        side = checker.config.vision_config.image_size
        return ConceptClassifier(checker, _ImageProcessor(side, CLIP_MEAN, CLIP_STD))
    if not architecture.endswith("ForImageClassification"):
        raise UserError(f"SENSITIVE_CLASSIFIER {ref} is not an image classifier: {architecture or 'unknown'}.")
    model = transformers.AutoModelForImageClassification.from_pretrained(ref, use_safetensors=True).eval()
    mean, std = _normalisation(ref)
    return LabelClassifier(model, _ImageProcessor(model.config.image_size, mean, std))


def _normalisation(ref: str) -> tuple[Sequence[float], Sequence[float]]:
    from transformers.utils import cached_file

    file = cached_file(ref, "preprocessor_config.json", _raise_exceptions_for_missing_entries=False)
    known = json.loads(Path(file).read_text(encoding="utf-8")) if file else {}
    return known.get("image_mean", (0.5, 0.5, 0.5)), known.get("image_std", (0.5, 0.5, 0.5))
