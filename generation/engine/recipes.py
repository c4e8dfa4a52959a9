"""How diffusers' own pipelines are called for the families that have another loop than the engine's."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple

import diffusers
import torch
from diffusers.pipelines.deprecated.wuerstchen import WuerstchenDecoderPipeline, WuerstchenPriorPipeline
from PIL import Image
from torch import Generator, Tensor

from generation.catalogue import Family
from generation.engine.stepping import PLAIN_SHAPE, Shape
from generation.guidance import with_words
from generation.params import Params

PRIOR_STEPS, PRIOR_GUIDANCE = 25, 4.0  # what is drawn first, of embeddings, is small and not asked about


class Half(NamedTuple):
    """A pipeline that a model brings, and the parts of it that nobody needs here."""

    kind: type[Any]
    without: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What one call draws: a tile for each generator, near `picture` if there is one."""

    params: Params
    generators: Sequence[Generator]
    picture: Image.Image | None = None

    @property
    def words(self) -> str:
        """Give what is to be drawn in one text, with the model's house style unless it was left out."""
        told = ", ".join(part.text for part in self.params.parts if part.weight > 0 and part.text)
        return with_words(told, self.params.house_style if self.params.stylize else "")

    @property
    def unwanted(self) -> str | None:
        """Give what is to be kept out of the picture in one text, None for nothing."""
        return ", ".join(filter(None, (self.params.negative_prompt, *self.params.no))) or None

    @property
    def common(self) -> dict[str, Any]:
        """Give what every pipeline calls alike."""
        return {"num_images_per_prompt": len(self.generators), "generator": list(self.generators)}


class Autoencoder(NamedTuple):
    """What previews are fitted to, and how many pixels of a side one latent stands for."""

    network: Any
    scale: int

    @torch.no_grad()
    def encode_mean(self, pixels: Tensor) -> Tensor:
        """Give the likeliest latents of pictures, N×3×H×W between −1 and 1, as the autoencoder has them."""
        encoded = self.network.encode(pixels.to(self.network.device, self.network.dtype))
        latents: Tensor = encoded.latents if hasattr(encoded, "latents") else encoded.latent_dist.mean
        return latents.float()


class Recipe(ABC):
    """A family's pipelines, and how they are called.

    `halves` are what a model and its partner bring. Of the `schedulers`, `showing` is the one whose foreseen latents
    can be shown, with the map that is fitted to `encoder`.
    """

    halves: ClassVar[tuple[Half, ...]]
    half_precision: ClassVar[torch.dtype] = torch.float16
    showing: Any = None
    encoder: Autoencoder | None = None

    pipelines: tuple[Any, ...]
    _is_offloaded = False

    @property
    def schedulers(self) -> list[Any]:
        """Give each scheduler once."""
        parts = [part for pipeline in self.pipelines for part in pipeline.components.items()]
        found = {id(part): part for name, part in parts if name.endswith("scheduler") and "noising" not in name}
        return list(found.values())

    @property
    def networks(self) -> list[Any]:
        """Give each network once."""
        parts = [part for pipeline in self.pipelines for part in pipeline.components.values()]
        return list({id(part): part for part in parts if isinstance(part, torch.nn.Module)}.values())

    def offload(self, device: torch.device) -> bool:
        """Keep on the device only the network at work; False where that would free nothing more."""
        if self._is_offloaded or device.type != "cuda":
            return False
        for pipeline in self.pipelines:
            pipeline.enable_model_cpu_offload(device=device)
        self._is_offloaded = True
        return True

    def rest(self) -> None:
        """Take off the device what a call that was broken off has left there, where it was to hold one network only."""
        for pipeline in self.pipelines if self._is_offloaded else ():
            pipeline.maybe_free_model_hooks()

    @abstractmethod
    def steps(self, order: Order) -> int:
        """Give how many steps a call makes in all."""

    @abstractmethod
    def draw(self, order: Order) -> list[Image.Image]:
        """Call the pipelines and give the pictures, one for each generator."""

    def shape(self, params: Params) -> Shape:
        """Give the way from what the shown scheduler sees to latents in two dimensions."""
        return PLAIN_SHAPE

    def clean(self, latents: Tensor) -> Tensor:
        """Give latents as the autoencoder has them."""
        return latents


class _Flow(Recipe):
    """A transformer that sees all of text and picture at once, and a straight way from noise to the picture."""

    half_precision = torch.bfloat16  # their text encoder's numbers are too large for 16-bit floats of the other kind
    near: ClassVar[type[Any]]

    def __init__(self, pipeline: Any) -> None:
        self.pipelines = (pipeline, self.near(**pipeline.components))
        self.showing = pipeline.scheduler
        self.encoder = Autoencoder(pipeline.vae, 2 ** (len(pipeline.vae.config.block_out_channels) - 1))

    def steps(self, order: Order) -> int:
        """Give how many of the steps the picture leaves; the pipelines round up."""
        params = order.params
        if order.picture is None:
            return params.num_inference_steps
        left_out = params.num_inference_steps - params.num_inference_steps * _strength(params)
        return params.num_inference_steps - int(left_out)

    def draw(self, order: Order) -> list[Image.Image]:
        """Draw from words alone, or from a noised picture."""
        plain, near = self.pipelines
        call = {**order.common, **self._told(order), **_size(order.params)}
        if order.picture is None:
            return list(plain(**call).images)
        pictures = [order.picture] * len(order.generators)
        return list(near(image=pictures, strength=_strength(order.params), **call).images)

    def clean(self, latents: Tensor) -> Tensor:
        """Take back the scaling that the transformer was trained with."""
        config = self.pipelines[0].vae.config
        return latents / float(config.scaling_factor) + float(config.shift_factor)

    @abstractmethod
    def _told(self, order: Order) -> dict[str, Any]: ...


class StableDiffusion3(_Flow):
    """Stable Diffusion 3 and 3.5."""

    halves = (Half(diffusers.StableDiffusion3Pipeline),)
    near = diffusers.StableDiffusion3Img2ImgPipeline

    def _told(self, order: Order) -> dict[str, Any]:
        return {
            "prompt": order.words,
            "negative_prompt": order.unwanted,
            "guidance_scale": order.params.guidance_scale,
            "num_inference_steps": order.params.num_inference_steps,
        }


class Flux(_Flow):
    """FLUX.1 dev and schnell, whose guidance is a number that the transformer is told, or that it knows by heart."""

    halves = (Half(diffusers.FluxPipeline),)
    near = diffusers.FluxImg2ImgPipeline

    def _told(self, order: Order) -> dict[str, Any]:
        is_guided = self.pipelines[0].transformer.config.guidance_embeds
        return {
            "prompt": order.words,
            "guidance_scale": order.params.guidance_scale,
            "num_inference_steps": order.params.num_inference_steps,
            "max_sequence_length": 512 if is_guided else 256,  # what each was trained with
        }

    def shape(self, params: Params) -> Shape:
        """Lay out the squares of 2×2 latents that the transformer reads in a row."""
        pipeline, scale = self.pipelines[0], self.pipelines[0].vae_scale_factor
        unpack = partial(pipeline._unpack_latents, height=params.height, width=params.width, vae_scale_factor=scale)
        return Shape(unpack, lambda latents: pipeline._pack_latents(latents, *latents.shape))


class Kandinsky(Recipe):
    """A prior draws the embedding of a picture, a decoder the picture to it."""

    halves = (
        Half(diffusers.KandinskyV22Pipeline),
        Half(diffusers.KandinskyV22PriorPipeline, frozenset({"image_processor"})),
    )

    def __init__(self, decoder: Any, prior: Any) -> None:
        self._prior, self._plain = prior, decoder
        self._near = diffusers.KandinskyV22Img2ImgPipeline(**decoder.components)
        self.pipelines = (prior, decoder, self._near)
        self.showing = decoder.scheduler
        self.encoder = Autoencoder(decoder.movq, 2 ** (len(decoder.movq.config.block_out_channels) - 1))

    def steps(self, order: Order) -> int:
        """Count the prior's, and those of the decoder that a picture leaves."""
        steps = order.params.num_inference_steps
        made = steps if order.picture is None else int(steps * _strength(order.params))
        return PRIOR_STEPS * (1 if order.unwanted is None else len(order.generators)) + made

    def draw(self, order: Order) -> list[Image.Image]:
        """Draw the embeddings, then the pictures."""
        embeddings = self._imagine(order)
        call = {
            **embeddings,
            **_size(order.params),
            "generator": list(order.generators),
            "num_inference_steps": order.params.num_inference_steps,
            "guidance_scale": order.params.guidance_scale,
        }
        if order.picture is None:
            return list(self._plain(**call).images)
        pictures = [order.picture] * len(order.generators)
        return list(self._near(image=pictures, strength=_strength(order.params), **call).images)

    def _imagine(self, order: Order) -> dict[str, Tensor]:
        call = {"prompt": order.words, "num_inference_steps": PRIOR_STEPS, "guidance_scale": PRIOR_GUIDANCE}
        if order.unwanted is None:
            drawn = [self._prior(**call, **order.common)]
        else:  # it draws the embedding of what is unwanted beside each, from the same generator
            call["negative_prompt"] = order.unwanted
            drawn = [self._prior(**call, generator=[generator]) for generator in order.generators]
        names = ("image_embeds", "negative_image_embeds")
        return {name: torch.cat([getattr(output, name) for output in drawn]) for name in names}


class UnClip(Recipe):
    """DALL-E 2's design: a prior draws an embedding, a decoder a small picture to it, another enlarges that."""

    halves = (Half(diffusers.UnCLIPPipeline),)
    enlarging = 7

    def __init__(self, pipeline: Any) -> None:
        self.pipelines = (pipeline,)

    def steps(self, order: Order) -> int:
        """Count those of all three; only the decoder's are asked about."""
        return PRIOR_STEPS + order.params.num_inference_steps + self.enlarging

    def draw(self, order: Order) -> list[Image.Image]:
        """Draw the pictures."""
        drawn = self.pipelines[0](
            prompt=order.words,
            prior_num_inference_steps=PRIOR_STEPS,
            decoder_num_inference_steps=order.params.num_inference_steps,
            super_res_num_inference_steps=self.enlarging,
            prior_guidance_scale=PRIOR_GUIDANCE,
            decoder_guidance_scale=order.params.guidance_scale,
            **order.common,
        )
        return list(drawn.images)


class _Compressed(Recipe):
    """A prior draws a tiny plan of the picture, a decoder what it looks like; most of the work is the prior's."""

    decoder_steps: ClassVar[int]

    def __init__(self, decoder: Any, prior: Any) -> None:
        self.pipelines = (prior, decoder)

    def steps(self, order: Order) -> int:
        """Count both halves' steps."""
        return order.params.num_inference_steps + self.decoder_steps

    def draw(self, order: Order) -> list[Image.Image]:
        """Draw the plans, then the pictures."""
        prior, decoder = self.pipelines
        texts = {"prompt": order.words, "negative_prompt": order.unwanted}
        plans = prior(
            **texts,
            **_size(order.params),
            num_inference_steps=order.params.num_inference_steps,
            guidance_scale=order.params.guidance_scale,
            **order.common,
        ).image_embeddings
        drawn = decoder(
            image_embeddings=plans,
            **texts,
            num_inference_steps=self.decoder_steps,
            guidance_scale=0.0,
            generator=list(order.generators),
        )
        return list(drawn.images)


class StableCascade(_Compressed):
    """Stable Cascade."""

    halves = (
        Half(diffusers.StableCascadeDecoderPipeline),
        Half(diffusers.StableCascadePriorPipeline, frozenset({"image_encoder", "feature_extractor"})),
    )
    half_precision = torch.bfloat16
    decoder_steps = 10


class Wuerstchen(_Compressed):
    """Würstchen."""

    halves = (Half(WuerstchenDecoderPipeline), Half(WuerstchenPriorPipeline))
    decoder_steps = 12


class Imagen(Recipe):
    """DeepFloyd IF, after Imagen: small pixels are drawn from a large language model's reading, then enlarged."""

    _CHECKS = frozenset({"safety_checker", "feature_extractor", "watermarker"})
    halves = (
        Half(diffusers.IFPipeline, _CHECKS),
        Half(diffusers.IFSuperResolutionPipeline, _CHECKS | {"text_encoder", "tokenizer"}),
    )
    _FACTOR, enlarging, _GUIDANCE = 4, 50, 4.0

    def __init__(self, small: Any, large: Any) -> None:
        self.pipelines = (small, large)

    def steps(self, order: Order) -> int:
        """Count both halves' steps; only the first's are asked about."""
        return order.params.num_inference_steps + self.enlarging

    def draw(self, order: Order) -> list[Image.Image]:
        """Draw the small pictures, then enlarge them."""
        small, large = self.pipelines
        wanted, unwanted = small.encode_prompt(order.words, negative_prompt=order.unwanted)
        params, count = order.params, len(order.generators)
        drawn = small(
            prompt_embeds=wanted,
            negative_prompt_embeds=unwanted,
            num_inference_steps=params.num_inference_steps,
            guidance_scale=params.guidance_scale,
            width=params.width // self._FACTOR,
            height=params.height // self._FACTOR,
            output_type="pt",
            **order.common,
        ).images
        enlarged = large(
            image=drawn,
            prompt_embeds=wanted.repeat(count, 1, 1),
            negative_prompt_embeds=unwanted.repeat(count, 1, 1),
            num_inference_steps=self.enlarging,
            guidance_scale=self._GUIDANCE,
            generator=list(order.generators),
            **_size(params),
        )
        return list(enlarged.images)


RECIPES: dict[Family, type[Recipe]] = {
    Family.SD3: StableDiffusion3,
    Family.FLUX: Flux,
    Family.FLUX_SCHNELL: Flux,
    Family.KANDINSKY: Kandinsky,
    Family.UNCLIP: UnClip,
    Family.CASCADE: StableCascade,
    Family.WUERSTCHEN: Wuerstchen,
    Family.IF: Imagen,
}


def _size(params: Params) -> dict[str, int]:
    return {"width": params.width, "height": params.height}


def _strength(params: Params) -> float:
    """Give a strength that leaves at least one step: the pipelines make none, or fail, where it is less."""
    least = 1 / params.num_inference_steps
    return max(params.strength, math.nextafter(least, 1.0))
