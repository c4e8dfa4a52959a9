"""The safety classifiers, with small random models in their real layouts."""

from __future__ import annotations

import pytest
import torch
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from PIL import Image
from transformers import CLIPConfig, ViTConfig, ViTForImageClassification

from generation.engine.output.safety_classifier import load_classifier
from generation.errors import UserError

BLACK, WHITE, WIDE = Image.new("RGB", (64, 64)), Image.new("RGB", (64, 64), "white"), Image.new("RGB", (96, 32))


def vit(labels: dict[int, str]) -> ViTForImageClassification:
    """Return a small random ViT with these labels."""
    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, image_size=32, patch_size=16,
        id2label=labels, num_labels=len(labels),
    )  # fmt: skip
    return ViTForImageClassification(config).eval()


@pytest.fixture
def trained_vit(tmp_path):
    """Return a ViT that was trained briefly to find white images sensitive."""
    model = vit({0: "normal", 1: "nsfw"})
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    pixels = torch.stack([torch.full((3, 32, 32), -1.0), torch.full((3, 32, 32), 1.0)])
    for _ in range(40):
        loss = model(pixel_values=pixels, labels=torch.tensor([0, 1])).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.save_pretrained(tmp_path / "vit")
    return str(tmp_path / "vit")


def checker(folder, threshold: float) -> str:
    vision = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    vision |= {"image_size": 32, "patch_size": 16}
    config = CLIPConfig(vision_config=vision, projection_dim=8)
    torch.manual_seed(0)
    model = StableDiffusionSafetyChecker(config)
    model.concept_embeds_weights.data.fill_(threshold)
    model.special_care_embeds_weights.data.fill_(2.0)
    model.save_pretrained(folder)
    return str(folder)


def test_without_a_classifier_nothing_is_sensitive():
    assert not load_classifier("").is_sensitive([WHITE])


def test_an_image_classifier_finds_one_sensitive_image_among_others(trained_vit):
    classifier = load_classifier(trained_vit)
    assert classifier.is_sensitive([BLACK, BLACK, WHITE, BLACK])
    assert not classifier.is_sensitive([BLACK, WIDE])


@pytest.mark.parametrize(("threshold", "found"), [(2.0, False), (-2.0, True)])
def test_the_safety_checker_of_stable_diffusion_is_supported(tmp_path, threshold, found):
    classifier = load_classifier(checker(tmp_path / "checker", threshold))
    assert classifier.is_sensitive([BLACK, WHITE]) is found


def test_a_classifier_of_something_else_is_refused(tmp_path):
    vit({0: "cat", 1: "dog"}).save_pretrained(tmp_path)
    with pytest.raises(UserError, match="no label for sensitive pictures among"):
        load_classifier(str(tmp_path))


def test_a_model_that_is_not_a_classifier_is_refused(tmp_path):
    CLIPConfig(architectures=["CLIPModel"]).save_pretrained(tmp_path)
    with pytest.raises(UserError, match="is not an image classifier: CLIPModel"):
        load_classifier(str(tmp_path))


def test_a_missing_classifier_is_an_error(tmp_path):
    with pytest.raises(OSError):
        load_classifier(str(tmp_path / "nowhere"))
