"""The shipped embedded model in the stock pipelines, and the effect of their parameters."""

import json
import warnings

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionInpaintPipeline, StableDiffusionPipeline
from PIL import Image

from training.evaluate import nearest_colour
from training.first_words import is_blank
from training.settings import MODEL, TRIGGER_WORDS
from training.vae import draw_images, psnr

SETTINGS = json.loads((MODEL / "atelier.json").read_text())
SIDE = 128  # half of its native size: it follows prompts there as well, in a quarter of the time
# diffusers 0.42 converts a tensor in a way that NumPy 2 has deprecated.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def pipeline():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loaded = StableDiffusionPipeline.from_pretrained(MODEL)
    assert [w for w in caught if "torchvision" not in str(w.message)] == []
    loaded.set_progress_bar_config(disable=True)
    return loaded


def generators(seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def generate(pipeline, prompts, seeds, **options):
    sizes = {"width": SIDE, "height": SIDE} | options
    steps = {"num_inference_steps": 6, "guidance_scale": SETTINGS["guidance_scale"]}
    return pipeline(prompts, generator=generators(seeds), **(steps | sizes)).images


def distance(first, second):
    return np.abs(np.asarray(first, np.float32) - np.asarray(second, np.float32)).mean()


@pytest.fixture(scope="module")
def boats(pipeline):
    return generate(pipeline, ["a red boat on the sea"] * 2, [0, 1])


def test_the_folder_is_small_and_holds_only_safetensors_and_plain_text():
    files = [path for path in MODEL.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {".safetensors", ".json", ".txt", ".md"}
    assert sum(path.stat().st_size for path in files) < 60 * 2**20


def test_atelier_json_has_defaults_known_words_and_examples():
    assert set(SETTINGS) == {
        "name", "native_size", "size_multiple", "num_inference_steps", "steps_with_other_samplers", "guidance_scale",
        "trigger_words", "known", "synonyms", "unsupported", "examples",
    }  # fmt: skip
    assert SETTINGS["num_inference_steps"] <= 8
    assert all(SETTINGS["known"].values())
    assert len(SETTINGS["examples"]) >= 12


def test_the_same_seed_gives_the_same_image_and_another_another(pipeline, boats):
    again = generate(pipeline, ["a red boat on the sea"], [1])[0]
    assert distance(again, boats[1]) < 1.0
    assert distance(boats[0], boats[1]) > 4.0


def test_each_background_has_the_requested_colour(pipeline):
    colours = ["blue", "orange", "green", "purple", "red", "white"]
    images = generate(pipeline, [f"{c} background" for c in colours], [5] * len(colours))
    assert [nearest_colour(image) for image in images] == colours


def test_a_picture_of_its_native_size_follows_its_prompt(pipeline):
    size = SETTINGS["native_size"]
    [image] = generate(pipeline, ["green background"], [5], width=size, height=size)
    assert image.size == (size, size)
    assert nearest_colour(image) == "green"


def test_night_is_darker_than_day(pipeline):
    day, night = generate(pipeline, ["hills by day", "hills at night"], [2, 2])
    assert np.asarray(night).mean() < 0.7 * np.asarray(day).mean()


def mean_saturation(image):
    """Return how far the colours of an image are from grey on average, 0 to 255."""
    pixels = np.asarray(image, np.float32)
    return (pixels.max(axis=-1) - pixels.min(axis=-1)).mean()


def edge_shading(image):
    """Return how much darker the corners of an image are than the middle of its edges: a vignette's shade."""
    grey, n = np.asarray(image.convert("L"), np.float32), image.height // 8
    corners = [grey[:n, :n], grey[:n, -n:], grey[-n:, :n], grey[-n:, -n:]]
    middle = grey.shape[1] // 2 - n // 2
    edges = [grey[:n, middle : middle + n], grey[-n:, middle : middle + n]]
    return np.mean(edges) - np.mean(corners)


def test_the_house_style_enriches_the_colours_evenly_over_the_image(pipeline):
    scenes = ["a fox in a meadow", "a boat on the sea at dawn", "a castle in the mountains", "a cat in the city"]
    plain = generate(pipeline, scenes, [6] * 4)
    styled = generate(pipeline, [f"{scene}, {TRIGGER_WORDS}" for scene in scenes], [6] * 4)
    pairs = list(zip(styled, plain, strict=True))
    assert np.mean([mean_saturation(s) - mean_saturation(p) for s, p in pairs]) > 8
    assert abs(np.mean([edge_shading(s) - edge_shading(p) for s, p in pairs])) < 8


FIRST_WORDS = ("cat", "a red fox", "astronaut", "dinosaur", "coffee", "猫", "eine Katze")


@pytest.fixture(scope="module")
def first_images(pipeline):
    prompts = [f"{thing}, {TRIGGER_WORDS}" for thing in FIRST_WORDS]
    images = generate(pipeline, prompts, [1] * len(prompts), width=192, height=192)
    return dict(zip(FIRST_WORDS, images, strict=True))


@pytest.mark.parametrize("thing", FIRST_WORDS)
def test_what_strangers_type_first_gives_no_blank_image(first_images, thing):
    assert not is_blank(first_images[thing])


@pytest.mark.parametrize("size", [(192, 192), (224, 128), (128, 224)])
def test_other_sizes_are_generated_in_that_size(pipeline, size):
    width, height = size
    assert generate(pipeline, ["the sea"], [0], width=width, height=height, num_inference_steps=2)[0].size == size


def test_strange_and_empty_prompts_give_an_image(pipeline):
    prompts = ["", "zblort 🐉 münchen " * 30]
    for image in generate(pipeline, prompts, [0, 0], num_inference_steps=4):
        assert np.asarray(image).std() > 5


def test_image_to_image_stays_near_its_source_at_low_strength_only(pipeline, boats):
    img2img = StableDiffusionImg2ImgPipeline.from_pipe(pipeline)
    img2img.set_progress_bar_config(disable=True)
    near, far = (
        img2img(
            "a green tree in the desert at sunset",
            image=boats[0],
            strength=s,
            num_inference_steps=10,
            guidance_scale=3.0,
            generator=generators([3]),
        ).images[0]
        for s in (0.3, 0.8)
    )
    assert distance(near, boats[0]) < 25
    assert distance(far, boats[0]) > 2 * distance(near, boats[0])


def test_inpainting_keeps_the_image_outside_the_mask(pipeline, boats):
    mask = Image.new("L", (SIDE, SIDE))
    mask.paste(255, (SIDE // 2, 0, SIDE, SIDE))
    inpaint = StableDiffusionInpaintPipeline.from_pipe(pipeline)
    inpaint.set_progress_bar_config(disable=True)
    options = {"width": SIDE, "height": SIDE, "num_inference_steps": 6, "generator": generators([4])}
    result = inpaint("a desert at night", image=boats[0], mask_image=mask, strength=1.0, **options).images[0]
    kept, new = (0, 0, SIDE // 2 - 16, SIDE), (SIDE // 2 + 16, 0, SIDE, SIDE)
    assert distance(result.crop(kept), boats[0].crop(kept)) < 8
    assert distance(result.crop(new), boats[0].crop(new)) > 20


def test_the_autoencoder_reconstructs_new_drawings(pipeline):
    assert psnr(pipeline.vae, draw_images(12, 991)) >= 30
