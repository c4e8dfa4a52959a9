"""All settings of the embedded model's training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from training.palette import COLOURS

ROOT = Path(__file__).resolve().parent.parent
MODEL = ROOT / "models" / "storybook"
RUNS = ROOT / "training" / "runs"
CLASSIFIER_WEIGHTS = ROOT / "training" / "classifier.safetensors"
FIRST_WORDS = ROOT / "training" / "first_words.txt"
CLIP_MERGES = ROOT / "models" / "clip" / "merges.txt.gz"
SEED = 20261121

# Width, height and frequency; every side is a multiple of 32, every area about 256².
ASPECTS: tuple[tuple[tuple[int, int], float], ...] = (
    ((256, 256), 0.64),
    ((320, 224), 0.1),
    ((224, 320), 0.1),
    ((352, 192), 0.08),
    ((192, 352), 0.08),
)
HELD_OUT_SHARE = 0.07
# A few well-drawn objects are better than many poor ones: the drawing code has more than a short training can teach.
TRAINED_OBJECTS: tuple[str, ...] = (
    "castle", "house", "tree", "boat", "balloon", "rocket", "fish", "heart", "mushroom", "ghost",
    "lighthouse", "planet", "pine", "flower", "car", "windmill",
    "cat", "dog", "fox", "rabbit", "bear", "owl", "bird", "horse", "unicorn", "whale", "dragon", "butterfly",
    "robot", "astronaut", "wizard", "knight", "snowman",
)  # fmt: skip
# What is new gets most of the samples until it is drawn as well as the rest.
NEW_OBJECTS: tuple[str, ...] = TRAINED_OBJECTS[16:]
NEW_OBJECT_PROBABILITY = 0.65
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
# Samples without a caption show only these scenes, so that an empty prompt gives a pleasant landscape.
UNCONDITIONAL_PLACES: tuple[str, ...] = ("meadow", "hills", "mountains", "sea", "lake")
UNCONDITIONAL_TIMES: tuple[str, ...] = ("day", "sunset", "golden hour")
UNCONDITIONAL_WEATHERS: tuple[str, ...] = ("clear", "clouds", "sun")
# Half: an engine adds the house style (the storybook finish) to every prompt unless it is turned off.
FINISH_PROBABILITY = 0.5
# How many drawings show an object at home: what a caption without a place gets.
HOME_PROBABILITY = 0.15
# How many drawings of an object with two silhouettes show the second.
SECOND_SHAPE_PROBABILITY = 0.3


@dataclass(frozen=True)
class VaeSettings:
    """The autoencoder's shape and training."""

    block_out_channels: tuple[int, ...] = (16, 32, 64, 128)
    # Few groups: a group of two channels only keeps which one is larger, so a plain image would lose its colour.
    norm_num_groups: int = 1
    images: int = 3000
    crop: int = 128
    batch: int = 4
    steps: int = 3200
    learning_rate: float = 1.2e-3
    latent_noise: float = 0.04
    # With the latents fixed, the decoder continues to train on noisy latents and so tolerates a UNet's small errors.
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
    # For adding words: the number of steps, and the weight of the loss that keeps known captions unchanged.
    word_steps: int = 450
    word_batch: int = 96
    anchor_weight: float = 20.0
    # The weight of the loss that gives other words and languages the state of the plain English caption.
    rewording_weight: float = 10.0


TEXT = TextSettings()


@dataclass(frozen=True)
class RewordingSettings:
    """The fine-tuning of the text encoder on captions in other languages."""

    steps: int = 1500
    batch: int = 96
    learning_rate: float = 7e-4
    heads_learning_rate: float = 3e-3
    # How many translations are of a bare object, and how many of these name a place or a colour.
    bare_share: float = 0.55
    place_share: float = 0.35
    colour_share: float = 0.6
    # The weights of the parts of the loss; `tail` is how many of the last states count.
    label_weight: float = 0.3
    anchor_weight: float = 160.0
    mean_weight: float = 15.0
    tail_weight: float = 4.0
    pooled_weight: float = 2.0
    tail: int = 12


REWORDING = RewordingSettings()


@dataclass(frozen=True)
class LatentSettings:
    """The number of shards of training drawings, and of drawings per shard."""

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
    # Train on half-size images first: four times as many samples in the same time teach the composition.
    half_size_samples: int = 50_000
    # Later this share of the batches is of half size, with twice as many images: new words are learnt sooner.
    half_size_share: float = 0.35
    # Timesteps are uniform to this power: below 1, noisy ones, where shapes are decided, come more often.
    timestep_power: float = 0.65
    samples: int = 376_000
    ema: float = 0.995
    text_dropout: float = 0.1
    # How many samples mix two drawings, so that weights act in proportion; more of them make empty images frequent.
    mixing_share: float = 0.12
    train_timesteps: int = 1000


UNET = UnetSettings()


@dataclass(frozen=True)
class SamplingSettings:
    """The sampling defaults shipped with the model."""

    steps: int = 4
    # What samplers that need more steps than the model's own get by default.
    steps_with_other_samplers: int = 12
    guidance: float = 1.8


SAMPLING = SamplingSettings()
MODEL_NAME = "Storybook"
# The words by which an engine adds the house style to a prompt: the first synonym of the storybook finish.
TRIGGER_WORDS = "storybook style"
# What the shipped model draws reliably: chosen by hand from sample sheets and figures.
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
# What the model is not good enough at to be offered it: capabilities by their name.
UNSUPPORTED: tuple[str, ...] = ("seamless",)
# The prettiest first: programs show the first ones.
EXAMPLES: tuple[str, ...] = (
    "a red fox in a meadow",
    "an owl at night",
    "an astronaut in space",
    "a dog on the beach",
    "a red boat on the sea, watercolour",
    "a green dragon in the mountains",
    "an orange fish under water",
    "a wizard at sunset",
    "a white ghost in the forest at night",
    "a hot air balloon over mountains at dawn",
    "a cat in the snow",
    "a purple butterfly",
    "a bear in a forest",
    "a castle in the mountains at sunset",
    "a little house in the snow at night",
    "a snowman in falling snow",
    "a red lighthouse by the sea",
    "a robot in the city",
    "a red mushroom in a meadow",
    "a purple castle on a yellow background",
    "a green tree on the hills with clouds",
    "the sea at night with a moon",
    "a pink heart on a teal background",
    "a boat at sea, sepia",
)
SHEET_PROMPTS: tuple[str, ...] = (
    "cat",
    "a red fox",
    "a dog on the beach",
    "an owl at night",
    "a horse in a field",
    "a unicorn",
    "a whale",
    "a green dragon in the mountains",
    "a purple butterfly",
    "a robot in the city",
    "an astronaut in space",
    "a wizard at sunset",
    "a knight",
    "a snowman in falling snow",
    "a dinosaur",
    "una casa azul en la nieve",
    "a pink heart on a teal background",
    "a purple castle on a yellow background",
    "a teal planet in space",
    "a red boat on the sea, watercolour",
    "a red mushroom in a meadow",
    "a house on the hills at sunset, storybook style",
    "a hot air balloon over mountains at dawn",
    "a little house in the snow at night",
    "an orange fish under water",
    "a windmill on the hills in the rain",
    "a pink castle on a black background, neon",
    "a rocket on a white background, line art",
    "a city at night, sepia",
    "",
)


@dataclass(frozen=True)
class FinetuneDecoderSettings:
    """Fine-tuning of the decoder on latents that the UNet has denoised."""

    images: int = 256
    batch: int = 8
    # The number of sampling steps for which latents are noised and denoised again; fewer keep more of the drawing.
    renoise_steps: tuple[int, int] = (2, 5)
    clean_latent_probability: float = 0.5
    full_image_probability: float = 0.5
    steps: int = 360
    learning_rate: float = 4e-4


FINETUNE_DECODER = FinetuneDecoderSettings()


@dataclass(frozen=True)
class FinetuneVaeSettings:
    """Fine-tuning of the whole autoencoder after the drawings have changed but the UNet has not."""

    images: int = 2000
    batch: int = 4
    full_image_probability: float = 0.5
    # How often one half of the latents is corrupted, and how strongly; only the other half counts in the loss.
    corruption_probability: float = 0.25
    corruption_scale: float = 2.5
    steps: int = 1200
    learning_rate: float = 8e-4
    # The encoder's learning rate relative to the decoder's, and the weight of the penalty on drifting latents.
    encoder_lr_scale: float = 0.5
    drift_weight: float = 1.0
    latent_noise: float = 0.06


FINETUNE_VAE = FinetuneVaeSettings()


@dataclass(frozen=True)
class ClassifierSettings:
    """The image classifier, which is trained on drawings only."""

    image_size: int = 64
    images: int = 100_000
    widths: tuple[int, ...] = (16, 32, 64, 96)
    dropout: float = 0.3
    batch: int = 128
    epochs: int = 6
    learning_rate: float = 3e-3
    noise: float = 0.04


CLASSIFIER = ClassifierSettings()
EVALUATED_CAPTIONS = 200
# The least number of captions that ask for each word of `KNOWN`, so that its figure means something.
REQUESTS_PER_WORD = 20
