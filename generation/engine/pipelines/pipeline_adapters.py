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

from generation.engine.pipelines.scheduler_hook import NO_PACKING, LatentPacking
from generation.models.catalogue import Family
from generation.params import Params
from generation.planning.guidance import append_text

PRIOR_STEPS, PRIOR_GUIDANCE = 25, 4.0  # what is drawn first, of embeddings, is small and not asked about


class PipelineSpec(NamedTuple):
    """A pipeline that a model brings, and the parts of it that nobody needs here."""

    pipeline_class: type[Any]
    excluded_parts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineCall:
    """What one call draws: a tile for each generator, near `picture` if there is one."""

    params: Params
    generators: Sequence[Generator]
    image: Image.Image | None = None

    @property
    def prompt(self) -> str:
        """Give what is to be drawn in one text, with the model's house style unless it was left out."""
        told = ", ".join(part.text for part in self.params.parts if part.weight > 0 and part.text)
        return append_text(told, self.params.house_style if self.params.stylize else "")

    @property
    def negative_prompt(self) -> str | None:
        """Give what is to be kept out of the picture in one text, None for nothing."""
        return ", ".join(filter(None, (self.params.negative_prompt, *self.params.no))) or None

    @property
    def common_arguments(self) -> dict[str, Any]:
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


class PipelineAdapter(ABC):
    """A family's pipelines, and how they are called.

    `halves` are what a model and its partner bring. Of the `schedulers`, `showing` is the one whose foreseen latents
    can be shown, with the map that is fitted to `encoder`.
    """

    pipeline_specs: ClassVar[tuple[PipelineSpec, ...]]
    half_precision: ClassVar[torch.dtype] = torch.float16
    preview_scheduler: Any = None
    autoencoder: Autoencoder | None = None

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

    def free_hooks(self) -> None:
        """Take off the device what a call that was broken off has left there, where it was to hold one network only."""
        for pipeline in self.pipelines if self._is_offloaded else ():
            pipeline.maybe_free_model_hooks()

    @abstractmethod
    def steps(self, call: PipelineCall) -> int:
        """Give how many steps a call makes in all."""

    @abstractmethod
    def generate(self, call: PipelineCall) -> list[Image.Image]:
        """Call the pipelines and give the pictures, one for each generator."""

    def latent_packing(self, params: Params) -> LatentPacking:
        """Give the way from what the shown scheduler sees to latents in two dimensions."""
        return NO_PACKING

    def unscale_latents(self, latents: Tensor) -> Tensor:
        """Give latents as the autoencoder has them."""
        return latents


class _FlowMatching(PipelineAdapter):
    """A transformer that sees all of text and picture at once, and a straight way from noise to the picture."""

    half_precision = torch.bfloat16  # their text encoder's numbers are too large for 16-bit floats of the other kind
    img2img_class: ClassVar[type[Any]]

    def __init__(self, pipeline: Any) -> None:
        self.pipelines = (pipeline, self.img2img_class(**pipeline.components))
        self.preview_scheduler = pipeline.scheduler
        self.autoencoder = Autoencoder(pipeline.vae, 2 ** (len(pipeline.vae.config.block_out_channels) - 1))

    def steps(self, call: PipelineCall) -> int:
        """Give how many of the steps the picture leaves; the pipelines round up."""
        params = call.params
        if call.image is None:
            return params.num_inference_steps
        left_out = params.num_inference_steps - params.num_inference_steps * _strength(params)
        return params.num_inference_steps - int(left_out)

    def generate(self, call: PipelineCall) -> list[Image.Image]:
        """Draw from words alone, or from a noised picture."""
        text2img, img2img = self.pipelines
        arguments = {**call.common_arguments, **self._text_arguments(call), **_size(call.params)}
        if call.image is None:
            return list(text2img(**arguments).images)
        pictures = [call.image] * len(call.generators)
        return list(img2img(image=pictures, strength=_strength(call.params), **arguments).images)

    def unscale_latents(self, latents: Tensor) -> Tensor:
        """Take back the scaling that the transformer was trained with."""
        config = self.pipelines[0].vae.config
        return latents / float(config.scaling_factor) + float(config.shift_factor)

    @abstractmethod
    def _text_arguments(self, call: PipelineCall) -> dict[str, Any]: ...


class StableDiffusion3(_FlowMatching):
    """Stable Diffusion 3 and 3.5."""

    pipeline_specs = (PipelineSpec(diffusers.StableDiffusion3Pipeline),)
    img2img_class = diffusers.StableDiffusion3Img2ImgPipeline

    def _text_arguments(self, call: PipelineCall) -> dict[str, Any]:
        return {
            "prompt": call.prompt,
            "negative_prompt": call.negative_prompt,
            "guidance_scale": call.params.guidance_scale,
            "num_inference_steps": call.params.num_inference_steps,
        }


class Flux(_FlowMatching):
    """FLUX.1 dev and schnell, whose guidance is a number that the transformer is told, or that it knows by heart."""

    pipeline_specs = (PipelineSpec(diffusers.FluxPipeline),)
    img2img_class = diffusers.FluxImg2ImgPipeline

    def _text_arguments(self, call: PipelineCall) -> dict[str, Any]:
        is_guided = self.pipelines[0].transformer.config.guidance_embeds
        return {
            "prompt": call.prompt,
            "guidance_scale": call.params.guidance_scale,
            "num_inference_steps": call.params.num_inference_steps,
            "max_sequence_length": 512 if is_guided else 256,  # what each was trained with
        }

    def latent_packing(self, params: Params) -> LatentPacking:
        """Lay out the squares of 2×2 latents that the transformer reads in a row."""
        pipeline, scale = self.pipelines[0], self.pipelines[0].vae_scale_factor
        unpack = partial(pipeline._unpack_latents, height=params.height, width=params.width, vae_scale_factor=scale)
        return LatentPacking(unpack, lambda latents: pipeline._pack_latents(latents, *latents.shape))


class Kandinsky(PipelineAdapter):
    """A prior draws the embedding of a picture, a decoder the picture to it."""

    pipeline_specs = (
        PipelineSpec(diffusers.KandinskyV22Pipeline),
        PipelineSpec(diffusers.KandinskyV22PriorPipeline, frozenset({"image_processor"})),
    )

    def __init__(self, decoder: Any, prior: Any) -> None:
        self._prior, self._text2img = prior, decoder
        self._img2img = diffusers.KandinskyV22Img2ImgPipeline(**decoder.components)
        self.pipelines = (prior, decoder, self._img2img)
        self.preview_scheduler = decoder.scheduler
        self.autoencoder = Autoencoder(decoder.movq, 2 ** (len(decoder.movq.config.block_out_channels) - 1))

    def steps(self, call: PipelineCall) -> int:
        """Count the prior's, and those of the decoder that a picture leaves."""
        steps = call.params.num_inference_steps
        made = steps if call.image is None else int(steps * _strength(call.params))
        return PRIOR_STEPS * (1 if call.negative_prompt is None else len(call.generators)) + made

    def generate(self, call: PipelineCall) -> list[Image.Image]:
        """Draw the embeddings, then the pictures."""
        embeddings = self._run_prior(call)
        arguments = {
            **embeddings,
            **_size(call.params),
            "generator": list(call.generators),
            "num_inference_steps": call.params.num_inference_steps,
            "guidance_scale": call.params.guidance_scale,
        }
        if call.image is None:
            return list(self._text2img(**arguments).images)
        pictures = [call.image] * len(call.generators)
        return list(self._img2img(image=pictures, strength=_strength(call.params), **arguments).images)

    def _run_prior(self, call: PipelineCall) -> dict[str, Tensor]:
        arguments = {"prompt": call.prompt, "num_inference_steps": PRIOR_STEPS, "guidance_scale": PRIOR_GUIDANCE}
        if call.negative_prompt is None:
            drawn = [self._prior(**arguments, **call.common_arguments)]
        else:  # it draws the embedding of what is unwanted beside each, from the same generator
            arguments["negative_prompt"] = call.negative_prompt
            drawn = [self._prior(**arguments, generator=[generator]) for generator in call.generators]
        names = ("image_embeds", "negative_image_embeds")
        return {name: torch.cat([getattr(output, name) for output in drawn]) for name in names}


class UnClip(PipelineAdapter):
    """DALL-E 2's design: a prior draws an embedding, a decoder a small picture to it, another enlarges that."""

    pipeline_specs = (PipelineSpec(diffusers.UnCLIPPipeline),)
    upscale_steps = 7

    def __init__(self, pipeline: Any) -> None:
        self.pipelines = (pipeline,)

    def steps(self, call: PipelineCall) -> int:
        """Count those of all three; only the decoder's are asked about."""
        return PRIOR_STEPS + call.params.num_inference_steps + self.upscale_steps

    def generate(self, call: PipelineCall) -> list[Image.Image]:
        """Draw the pictures."""
        drawn = self.pipelines[0](
            prompt=call.prompt,
            prior_num_inference_steps=PRIOR_STEPS,
            decoder_num_inference_steps=call.params.num_inference_steps,
            super_res_num_inference_steps=self.upscale_steps,
            prior_guidance_scale=PRIOR_GUIDANCE,
            decoder_guidance_scale=call.params.guidance_scale,
            **call.common_arguments,
        )
        return list(drawn.images)


class _PriorDecoder(PipelineAdapter):
    """A prior draws a tiny plan of the picture, a decoder what it looks like; most of the work is the prior's."""

    decoder_steps: ClassVar[int]

    def __init__(self, decoder: Any, prior: Any) -> None:
        self.pipelines = (prior, decoder)

    def steps(self, call: PipelineCall) -> int:
        """Count both halves' steps."""
        return call.params.num_inference_steps + self.decoder_steps

    def generate(self, call: PipelineCall) -> list[Image.Image]:
        """Draw the plans, then the pictures."""
        prior, decoder = self.pipelines
        texts = {"prompt": call.prompt, "negative_prompt": call.negative_prompt}
        image_embeddings = prior(
            **texts,
            **_size(call.params),
            num_inference_steps=call.params.num_inference_steps,
            guidance_scale=call.params.guidance_scale,
            **call.common_arguments,
        ).image_embeddings
        drawn = decoder(
            image_embeddings=image_embeddings,
            **texts,
            num_inference_steps=self.decoder_steps,
            guidance_scale=0.0,
            generator=list(call.generators),
        )
        return list(drawn.images)


class StableCascade(_PriorDecoder):
    """Stable Cascade."""

    pipeline_specs = (
        PipelineSpec(diffusers.StableCascadeDecoderPipeline),
        PipelineSpec(diffusers.StableCascadePriorPipeline, frozenset({"image_encoder", "feature_extractor"})),
    )
    half_precision = torch.bfloat16
    decoder_steps = 10


class Wuerstchen(_PriorDecoder):
    """Würstchen."""

    pipeline_specs = (PipelineSpec(WuerstchenDecoderPipeline), PipelineSpec(WuerstchenPriorPipeline))
    decoder_steps = 12


class DeepFloydIF(PipelineAdapter):
    """DeepFloyd IF, after Imagen: small pixels are drawn from a large language model's reading, then enlarged."""

    _SAFETY_PARTS = frozenset({"safety_checker", "feature_extractor", "watermarker"})
    pipeline_specs = (
        PipelineSpec(diffusers.IFPipeline, _SAFETY_PARTS),
        PipelineSpec(diffusers.IFSuperResolutionPipeline, _SAFETY_PARTS | {"text_encoder", "tokenizer"}),
    )
    _UPSCALE_FACTOR, upscale_steps, _UPSCALE_GUIDANCE = 4, 50, 4.0

    def __init__(self, small: Any, large: Any) -> None:
        self.pipelines = (small, large)

    def steps(self, call: PipelineCall) -> int:
        """Count both halves' steps; only the first's are asked about."""
        return call.params.num_inference_steps + self.upscale_steps

    def generate(self, call: PipelineCall) -> list[Image.Image]:
        """Draw the small pictures, then enlarge them."""
        small, large = self.pipelines
        prompt_embeds, negative_prompt_embeds = small.encode_prompt(call.prompt, negative_prompt=call.negative_prompt)
        params, count = call.params, len(call.generators)
        drawn = small(
            prompt_embeds=prompt_embeds,
            negative_prompt_embeds=negative_prompt_embeds,
            num_inference_steps=params.num_inference_steps,
            guidance_scale=params.guidance_scale,
            width=params.width // self._UPSCALE_FACTOR,
            height=params.height // self._UPSCALE_FACTOR,
            output_type="pt",
            **call.common_arguments,
        ).images
        enlarged = large(
            image=drawn,
            prompt_embeds=prompt_embeds.repeat(count, 1, 1),
            negative_prompt_embeds=negative_prompt_embeds.repeat(count, 1, 1),
            num_inference_steps=self.upscale_steps,
            guidance_scale=self._UPSCALE_GUIDANCE,
            generator=list(call.generators),
            **_size(params),
        )
        return list(enlarged.images)


PIPELINE_ADAPTERS: dict[Family, type[PipelineAdapter]] = {
    Family.SD3: StableDiffusion3,
    Family.FLUX: Flux,
    Family.FLUX_SCHNELL: Flux,
    Family.KANDINSKY: Kandinsky,
    Family.UNCLIP: UnClip,
    Family.CASCADE: StableCascade,
    Family.WUERSTCHEN: Wuerstchen,
    Family.IF: DeepFloydIF,
}


def _size(params: Params) -> dict[str, int]:
    return {"width": params.width, "height": params.height}


def _strength(params: Params) -> float:
    """Give a strength that leaves at least one step: the pipelines make none, or fail, where it is less."""
    least = 1 / params.num_inference_steps
    return max(params.strength, math.nextafter(least, 1.0))
