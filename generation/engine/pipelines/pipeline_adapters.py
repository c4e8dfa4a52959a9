"""Call diffusers' own pipelines for the families that need another loop than the denoising engine's."""

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

PRIOR_STEPS, PRIOR_GUIDANCE = 25, 4.0  # a prior works on small embeddings and has no parameters of its own


class PipelineSpec(NamedTuple):
    """A pipeline of a model, and its parts that are not needed here."""

    pipeline_class: type[Any]
    excluded_parts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineCall:
    """One call of a pipeline: a tile for each generator, which starts from `image` or changes `original`, if given."""

    params: Params
    generators: Sequence[Generator]
    image: Image.Image | None = None
    original: Image.Image | None = None

    @property
    def prompt(self) -> str:
        """Return the prompt in one text, with the model's house style unless `stylize` is 0."""
        text = ", ".join(part.text for part in self.params.parts if part.weight > 0 and part.text)
        return append_text(text, self.params.house_style if self.params.stylize else "")

    @property
    def negative_prompt(self) -> str | None:
        """Return the negative prompt in one text, None for an empty one."""
        return ", ".join(filter(None, (self.params.negative_prompt, *self.params.no))) or None

    @property
    def common_arguments(self) -> dict[str, Any]:
        """Return the arguments that have the same names in all pipelines."""
        return {"num_images_per_prompt": len(self.generators), "generator": list(self.generators)}


class Autoencoder(NamedTuple):
    """The network that previews are fitted to, and how many pixels a side one latent stands for."""

    network: Any
    scale: int

    @torch.no_grad()
    def encode_mean(self, pixels: Tensor) -> Tensor:
        """Return the mean latents of images, N×3×H×W in −1…1, in the autoencoder's scale."""
        encoded = self.network.encode(pixels.to(self.network.device, self.network.dtype))
        latents: Tensor = encoded.latents if hasattr(encoded, "latents") else encoded.latent_dist.mean
        return latents.float()


class PipelineAdapter(ABC):
    """A family's pipelines, and how they are called.

    `pipeline_specs` are those of a model and of its partner. `preview_scheduler` is the one of `schedulers` whose
    predicted latents are shown in previews, which are fitted to `autoencoder`.
    """

    pipeline_specs: ClassVar[tuple[PipelineSpec, ...]]
    half_precision: ClassVar[torch.dtype] = torch.float16
    preview_scheduler: Any = None
    autoencoder: Autoencoder | None = None

    pipelines: tuple[Any, ...]
    _is_offloaded = False

    @property
    def schedulers(self) -> list[Any]:
        """Return each scheduler once."""
        parts = [part for pipeline in self.pipelines for part in pipeline.components.items()]
        found = {id(part): part for name, part in parts if name.endswith("scheduler") and "noising" not in name}
        return list(found.values())

    @property
    def networks(self) -> list[Any]:
        """Return each network once."""
        parts = [part for pipeline in self.pipelines for part in pipeline.components.values()]
        return list({id(part): part for part in parts if isinstance(part, torch.nn.Module)}.values())

    def offload(self, device: torch.device) -> bool:
        """Keep only the active network on the device; False where that would free nothing more."""
        if self._is_offloaded or device.type != "cuda":
            return False
        for pipeline in self.pipelines:
            pipeline.enable_model_cpu_offload(device=device)
        self._is_offloaded = True
        return True

    def free_hooks(self) -> None:
        """Free the device of what an aborted call left there, if networks are offloaded."""
        for pipeline in self.pipelines if self._is_offloaded else ():
            pipeline.maybe_free_model_hooks()

    @abstractmethod
    def steps(self, call: PipelineCall) -> int:
        """Return how many steps a call makes in all."""

    @abstractmethod
    def generate(self, call: PipelineCall) -> list[Image.Image]:
        """Call the pipelines and return the images, one for each generator."""

    def latent_packing(self, params: Params) -> LatentPacking:
        """Return the packing of the preview scheduler's latents."""
        return NO_PACKING

    def unscale_latents(self, latents: Tensor) -> Tensor:
        """Return latents in the autoencoder's scale."""
        return latents


class _FlowMatching(PipelineAdapter):
    """A transformer that attends to text and image together, trained with flow matching."""

    half_precision = torch.bfloat16  # their text encoder overflows in float16
    img2img_class: ClassVar[type[Any] | None] = None

    def __init__(self, pipeline: Any) -> None:
        img2img = () if self.img2img_class is None else (self.img2img_class(**pipeline.components),)
        self.pipelines = (pipeline, *img2img)
        self.preview_scheduler = pipeline.scheduler
        self.autoencoder = Autoencoder(pipeline.vae, 2 ** (len(pipeline.vae.config.block_out_channels) - 1))

    def steps(self, call: PipelineCall) -> int:
        """Return how many steps the strength leaves; the pipelines round up."""
        params = call.params
        if call.image is None:
            return params.num_inference_steps
        skipped = params.num_inference_steps - params.num_inference_steps * _strength(params)
        return params.num_inference_steps - int(skipped)

    def generate(self, call: PipelineCall) -> list[Image.Image]:
        """Generate from text alone, or from a noised image."""
        text2img, img2img = self.pipelines
        arguments = {**call.common_arguments, **self._text_arguments(call), **_size(call.params)}
        if call.image is None:
            return list(text2img(**arguments).images)
        images = [call.image] * len(call.generators)
        return list(img2img(image=images, strength=_strength(call.params), **arguments).images)

    def unscale_latents(self, latents: Tensor) -> Tensor:
        """Undo the scaling that the transformer was trained with."""
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
    """FLUX.1 dev, whose transformer takes the guidance scale as an input, and schnell, which has none."""

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
        """Return the packing of squares of 2×2 latents into the sequence that the transformer reads."""
        pipeline, scale = self.pipelines[0], self.pipelines[0].vae_scale_factor
        unpack = partial(pipeline._unpack_latents, height=params.height, width=params.width, vae_scale_factor=scale)
        return LatentPacking(unpack, lambda latents: pipeline._pack_latents(latents, *latents.shape))


class FluxKontext(Flux):
    """FLUX.1 Kontext, whose transformer sees the image that the words change beside the noisy one."""

    pipeline_specs = (PipelineSpec(diffusers.FluxKontextPipeline),)
    img2img_class = None

    def generate(self, call: PipelineCall) -> list[Image.Image]:
        """Change the original, at the size of the call."""
        size = _size(call.params)
        area = size["width"] * size["height"]  # the pipeline would scale any other size to this area
        arguments = {**call.common_arguments, **self._text_arguments(call), **size, "max_area": area}
        return list(self.pipelines[0](image=call.original, **arguments).images)


class Kandinsky(PipelineAdapter):
    """Kandinsky 2.2: a prior generates an image embedding, a decoder the image for it."""

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
        """Count the prior's steps, and those of the decoder that the strength leaves."""
        steps = call.params.num_inference_steps
        made = steps if call.image is None else int(steps * _strength(call.params))
        return PRIOR_STEPS * (1 if call.negative_prompt is None else len(call.generators)) + made

    def generate(self, call: PipelineCall) -> list[Image.Image]:
        """Generate the embeddings, then the images."""
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
        images = [call.image] * len(call.generators)
        return list(self._img2img(image=images, strength=_strength(call.params), **arguments).images)

    def _run_prior(self, call: PipelineCall) -> dict[str, Tensor]:
        arguments = {"prompt": call.prompt, "num_inference_steps": PRIOR_STEPS, "guidance_scale": PRIOR_GUIDANCE}
        if call.negative_prompt is None:
            outputs = [self._prior(**arguments, **call.common_arguments)]
        else:  # the prior also samples a negative embedding for each tile, from the same generator
            arguments["negative_prompt"] = call.negative_prompt
            outputs = [self._prior(**arguments, generator=[generator]) for generator in call.generators]
        names = ("image_embeds", "negative_image_embeds")
        return {name: torch.cat([getattr(output, name) for output in outputs]) for name in names}


class UnClip(PipelineAdapter):
    """unCLIP (DALL-E 2): a prior generates an embedding, a decoder a small image for it, two networks upscale that."""

    pipeline_specs = (PipelineSpec(diffusers.UnCLIPPipeline),)
    upscale_steps = 7

    def __init__(self, pipeline: Any) -> None:
        self.pipelines = (pipeline,)

    def steps(self, call: PipelineCall) -> int:
        """Count the steps of prior, decoder and upscaling; only the decoder's can be set."""
        return PRIOR_STEPS + call.params.num_inference_steps + self.upscale_steps

    def generate(self, call: PipelineCall) -> list[Image.Image]:
        """Generate the images."""
        output = self.pipelines[0](
            prompt=call.prompt,
            prior_num_inference_steps=PRIOR_STEPS,
            decoder_num_inference_steps=call.params.num_inference_steps,
            super_res_num_inference_steps=self.upscale_steps,
            prior_guidance_scale=PRIOR_GUIDANCE,
            decoder_guidance_scale=call.params.guidance_scale,
            **call.common_arguments,
        )
        return list(output.images)


class _PriorDecoder(PipelineAdapter):
    """A prior generates tiny latents of the image, a decoder the rest; most of the work is the prior's."""

    decoder_steps: ClassVar[int]

    def __init__(self, decoder: Any, prior: Any) -> None:
        self.pipelines = (prior, decoder)

    def steps(self, call: PipelineCall) -> int:
        """Count the steps of prior and decoder."""
        return call.params.num_inference_steps + self.decoder_steps

    def generate(self, call: PipelineCall) -> list[Image.Image]:
        """Generate the prior's latents, then the images."""
        prior, decoder = self.pipelines
        texts = {"prompt": call.prompt, "negative_prompt": call.negative_prompt}
        image_embeddings = prior(
            **texts,
            **_size(call.params),
            num_inference_steps=call.params.num_inference_steps,
            guidance_scale=call.params.guidance_scale,
            **call.common_arguments,
        ).image_embeddings
        output = decoder(
            image_embeddings=image_embeddings,
            **texts,
            num_inference_steps=self.decoder_steps,
            guidance_scale=0.0,
            generator=list(call.generators),
        )
        return list(output.images)


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
    """DeepFloyd IF, after Imagen: a small image in pixel space, conditioned on T5's embeddings, and its upscaler."""

    _SAFETY_PARTS = frozenset({"safety_checker", "feature_extractor", "watermarker"})
    pipeline_specs = (
        PipelineSpec(diffusers.IFPipeline, _SAFETY_PARTS),
        PipelineSpec(diffusers.IFSuperResolutionPipeline, _SAFETY_PARTS | {"text_encoder", "tokenizer"}),
    )
    _UPSCALE_FACTOR, upscale_steps, _UPSCALE_GUIDANCE = 4, 50, 4.0

    def __init__(self, small: Any, large: Any) -> None:
        self.pipelines = (small, large)

    def steps(self, call: PipelineCall) -> int:
        """Count the steps of both pipelines; only the first's can be set."""
        return call.params.num_inference_steps + self.upscale_steps

    def generate(self, call: PipelineCall) -> list[Image.Image]:
        """Generate the small images, then upscale them."""
        small, large = self.pipelines
        prompt_embeds, negative_prompt_embeds = small.encode_prompt(call.prompt, negative_prompt=call.negative_prompt)
        params, count = call.params, len(call.generators)
        small_images = small(
            prompt_embeds=prompt_embeds,
            negative_prompt_embeds=negative_prompt_embeds,
            num_inference_steps=params.num_inference_steps,
            guidance_scale=params.guidance_scale,
            width=params.width // self._UPSCALE_FACTOR,
            height=params.height // self._UPSCALE_FACTOR,
            output_type="pt",
            **call.common_arguments,
        ).images
        output = large(
            image=small_images,
            prompt_embeds=prompt_embeds.repeat(count, 1, 1),
            negative_prompt_embeds=negative_prompt_embeds.repeat(count, 1, 1),
            num_inference_steps=self.upscale_steps,
            guidance_scale=self._UPSCALE_GUIDANCE,
            generator=list(call.generators),
            **_size(params),
        )
        return list(output.images)


PIPELINE_ADAPTERS: dict[Family, type[PipelineAdapter]] = {
    Family.SD3: StableDiffusion3,
    Family.FLUX: Flux,
    Family.FLUX_SCHNELL: Flux,
    Family.FLUX_KONTEXT: FluxKontext,
    Family.KANDINSKY: Kandinsky,
    Family.UNCLIP: UnClip,
    Family.CASCADE: StableCascade,
    Family.WUERSTCHEN: Wuerstchen,
    Family.IF: DeepFloydIF,
}


def _size(params: Params) -> dict[str, int]:
    return {"width": params.width, "height": params.height}


def _strength(params: Params) -> float:
    """Return a strength that leaves at least one step: below that, the pipelines make none or fail."""
    least = 1 / params.num_inference_steps
    return max(params.strength, math.nextafter(least, 1.0))
