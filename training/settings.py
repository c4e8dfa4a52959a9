"""Every number that decides how the embedded model is made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from training.palette import COLOURS

ROOT = Path(__file__).resolve().parent.parent
MODEL = ROOT / "models" / "storybook"
RUNS = ROOT / "training" / "runs"
SEED = 20261121

# Width, height and how often; every side a multiple of 32, every area near 256².
ASPECTS: tuple[tuple[tuple[int, int], float], ...] = (
    ((256, 256), 0.64),
    ((320, 224), 0.1),
    ((224, 320), 0.1),
    ((352, 192), 0.08),
    ((192, 352), 0.08),
)
HELD_OUT_SHARE = 0.07
# Few things drawn well beat many drawn badly: the drawing code knows more than a short training can teach.
TRAINED_OBJECTS: tuple[str, ...] = (
    "castle", "house", "tree", "boat", "balloon", "rocket", "fish", "heart", "mushroom", "ghost",
    "lighthouse", "planet", "pine", "flower", "car", "windmill",
)  # fmt: skip
TRAINED_STYLES: tuple[str, ...] = (
    "watercolour",
    "pastel",
    "black and white",
    "sepia",
    "neon",
    "line art",
    "oil painting",
)
TRAINED_PLACES: tuple[str, ...] = (
    "meadow", "hills", "mountains", "forest", "sea", "lake", "beach", "desert", "snow", "city", "space",
    "under water",
)  # fmt: skip
TRAINED_WEATHERS: tuple[str, ...] = ("clear", "clouds", "rain", "snowfall", "fog", "stars", "moon", "sun")
# A caption left out stands for a scene that anybody likes: what the model draws when nothing is asked for.
UNCONDITIONAL_PLACES: tuple[str, ...] = ("meadow", "hills", "mountains", "sea", "lake")
UNCONDITIONAL_TIMES: tuple[str, ...] = ("day", "sunset", "golden hour")
UNCONDITIONAL_WEATHERS: tuple[str, ...] = ("clear", "clouds", "sun")
# Half: an engine adds the house style to every prompt unless it is told not to.
FINISH_PROBABILITY = 0.5


@dataclass(frozen=True)
class VaeSettings:
    """The autoencoder's shape and training."""

    block_out_channels: tuple[int, ...] = (16, 32, 64, 128)
    # Few groups: a group of two channels says nothing but which is larger, and a plain picture would lose its colour.
    norm_num_groups: int = 1
    images: int = 3000
    crop: int = 128
    batch: int = 4
    steps: int = 3200
    learning_rate: float = 1.2e-3
    latent_noise: float = 0.04
    # The decoder learns on, with settled latents, to be patient with a UNet's small errors.
    decoder_noise: float = 0.15
    thumbnail_steps: int = 400
    ema: float = 0.995


VAE = VaeSettings()


@dataclass(frozen=True)
class TextSettings:
    """The text encoder's shape and training."""

    context: int = 32
    vocabulary_size: int = 1600
    hidden: int = 192
    layers: int = 3
    heads: int = 4
    batch: int = 128
    steps: int = 500
    learning_rate: float = 1e-3
    # Learning more words: how long, and the price of moving what the known ones mean.
    word_steps: int = 250
    anchor_weight: float = 20.0


TEXT = TextSettings()


@dataclass(frozen=True)
class LatentSettings:
    """How many drawings the UNet learns from, and how many lie in one file."""

    shard_size: int = 512
    shards: int = 96


LATENTS = LatentSettings()


@dataclass(frozen=True)
class UnetSettings:
    """The UNet's shape and training."""

    block_out_channels: tuple[int, ...] = (64, 96, 192)
    layers_per_block: int = 1
    time_embedding: int = 128
    attention_heads: int = 4
    norm_num_groups: int = 4
    batch: int = 64
    learning_rate: float = 1e-3
    warmup_steps: int = 200
    # Learn composition on half-size pictures first: four times as many samples in the same time.
    half_size_samples: int = 50_000
    samples: int = 376_000
    ema: float = 0.995
    text_dropout: float = 0.1
    train_timesteps: int = 1000


UNET = UnetSettings()


@dataclass(frozen=True)
class SamplingSettings:
    """The defaults that go out with the model."""

    steps: int = 12
    guidance: float = 1.8


SAMPLING = SamplingSettings()
MODEL_NAME = "Storybook"
# The house style, as an engine adds it to a prompt: the first synonym of the storybook finish.
TRIGGER_WORDS = "storybook style"
# What the shipped model does well enough to be promised: chosen by hand after looking at sheets and figures.
KNOWN: dict[str, tuple[str, ...]] = {
    "colours": tuple(COLOURS),
    "times": ("day", "sunset", "night", "dawn", "golden hour"),
    "weather": ("clouds", "rain", "snowfall", "fog", "stars", "moon", "sun"),
    "places": (
        "meadow", "hills", "mountains", "forest", "sea", "lake", "beach", "desert", "snow", "city", "space",
        "under water",
    ),
    "things": TRAINED_OBJECTS,
    "styles": ("watercolour", "black and white", "sepia", "neon"),
}  # fmt: skip
EXAMPLES: tuple[str, ...] = (
    "a pink heart on a teal background",
    "a purple castle on a yellow background",
    "a white ghost on a purple background",
    "a yellow house on a blue background",
    "a red boat on the sea, watercolour",
    "a red mushroom in a meadow",
    "a green tree on the hills with clouds",
    "a house on the hills at sunset",
    "a hot air balloon over mountains at dawn",
    "a little house in the snow at night",
    "an orange fish under water",
    "a red rocket on a beach at dawn",
    "a blue boat on a lake",
    "the sea at night with a moon",
    "a boat at sea, sepia",
    "a pink castle on a black background, neon",
    "a red lighthouse on a beach",
    "a teal planet in space",
    "a city at night",
    "a meadow with the sun",
    "a yellow car in the desert",
    "a pink flower in a meadow with the sun",
    "a white windmill on the hills",
    "a green pine in the snow",
)
SHEET_PROMPTS: tuple[str, ...] = (
    "a pink heart on a teal background",
    "a purple castle on a yellow background",
    "a white ghost on a purple background",
    "a teal planet in space",
    "a red boat on the sea, watercolour",
    "a red mushroom in a meadow",
    "a green tree on the hills with clouds",
    "a house on the hills at sunset, storybook style",
    "a yellow car in the desert",
    "a pink flower in a meadow with the sun",
    "the sea at night with a moon",
    "a forest in falling snow",
    "a red lighthouse on a beach",
    "a hot air balloon over mountains at dawn",
    "a little house in the snow at night",
    "a castle in a meadow in the fog",
    "an orange fish under water",
    "a windmill on the hills in the rain",
    "a blue boat on a lake, oil painting",
    "a green pine in the snow, storybook style",
    "a pink castle on a black background, neon",
    "a rocket on a white background, line art",
    "a city at night, sepia",
    "",
)


@dataclass(frozen=True)
class FinetuneDecoderSettings:
    """The decoder's last lessons, on latents as the UNet leaves them."""

    images: int = 256
    batch: int = 8
    # How many of the sampler's steps the UNet goes back and finds its way again: fewer keep more of the drawing.
    renoise_steps: tuple[int, int] = (2, 5)
    clean_latent_probability: float = 0.5
    full_image_probability: float = 0.5
    steps: int = 360
    learning_rate: float = 4e-4


FINETUNE_DECODER = FinetuneDecoderSettings()


@dataclass(frozen=True)
class FinetuneVaeSettings:
    """Further lessons for the whole autoencoder, when the drawings have changed and the UNet has not."""

    images: int = 2000
    batch: int = 4
    full_image_probability: float = 0.5
    # How often one half of the latents goes wild, and how much: the other half must not mind.
    corruption_probability: float = 0.25
    corruption_scale: float = 2.5
    steps: int = 1200
    learning_rate: float = 8e-4
    # Half the decoder's rate for the encoder, and a price on every step that its latents move.
    encoder_lr_scale: float = 0.5
    drift_weight: float = 1.0
    latent_noise: float = 0.06


FINETUNE_VAE = FinetuneVaeSettings()


@dataclass(frozen=True)
class ClassifierSettings:
    """The judge network, which sees drawings only."""

    image_size: int = 64
    images: int = 12_000
    widths: tuple[int, ...] = (16, 32, 64, 96)
    dropout: float = 0.3
    batch: int = 64
    epochs: int = 3
    learning_rate: float = 1e-3


CLASSIFIER = ClassifierSettings()
EVALUATED_CAPTIONS = 200
