"""Draw what each parameter does: `python -m scripts.parameter_pictures [NAME …] [--out docs/parameters]`.

Each strip shows the same prompt and seed with several values of one parameter, as a small WebP file for
docs/prompts.md. The model is that of MODEL, by default the embedded one.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from bot.cli import UPLOAD_LIMIT, parse_cli_prompt
from bot.config import Config
from bot.registry import load_registry
from bot.workers import make_worker
from generation.errors import UserError
from generation.job import new_job_id
from generation.messages import Generate
from generation.models.registry import ModelRegistry
from generation.worker.worker import LocalWorker

SEED = 7
SIDE = 224  # pixels of a picture in a strip
LABEL_HEIGHT, GAP = 24, 6  # pixels
QUALITY = 78  # of WebP; a strip of four has about 30 kB
# An empty value leaves the parameter out. A strip compares grids where the four pictures differ, and else first tiles.
STRIPS = {
    "ar": ("--ar 3:2", "--ar 1:1", "--ar 2:3"),
    "chaos": ("--chaos 0", "--chaos 50", "--chaos 100"),
    "stylize": ("--stylize 0", "--stylize 100", "--stylize 1000"),
    "weird": ("--weird 0", "--weird 1000", "--weird 3000"),
    "raw": ("", "--raw"),
    "tile": ("", "--tile"),
    "quality": ("--quality 0.25", "--quality 1", "--quality 4"),
    "stop": ("--stop 25", "--stop 60", "--stop 100"),
    "draft": ("", "--draft"),
    "hd": ("", "--hd"),
    "steps": ("--steps 2", "--steps 6", "--steps 20"),
    "cfg": ("--cfg 1", "--cfg 5", "--cfg 15"),
    "no": ("", "--no moon"),
    "sameseed": ("", "--sameseed"),
}
GRIDS = {"chaos", "sameseed"}


async def draw_strips(config: Config, names: list[str], prompt: str, out: Path) -> list[Path]:
    """Draw the strips with one worker and return their files; what the model cannot do is printed and left out."""
    registry = load_registry(config)
    prompt = prompt or next(iter(registry.default.examples), "a castle by the sea at sunset")
    worker = make_worker(config, registry)
    written = []
    await worker.start()
    try:
        for name in names:
            try:
                images = [await _draw(worker, registry, f"{prompt} {value}", name) for value in STRIPS[name]]
            except UserError as error:
                print(f"{name}: {error}")
                continue
            target = out / f"{name}.webp"
            labels = [value or f"without --{name}" for value in STRIPS[name]]
            join(images, labels).save(target, quality=QUALITY, method=6)
            print(f"{target}: {target.stat().st_size >> 10} KiB", flush=True)
            written.append(target)
    finally:
        await worker.close()
    return written


async def _draw(worker: LocalWorker, registry: ModelRegistry, prompt: str, name: str) -> Image.Image:
    params = parse_cli_prompt(f"{prompt} --seed {SEED}", registry, with_image=False)
    registry.require_supported(params)
    grid = await worker.generate(Generate(new_job_id(), params, 0, UPLOAD_LIMIT, None), lambda progress: None)
    return Image.open(io.BytesIO(grid.image if name in GRIDS else grid.tiles[0])).convert("RGB")


def join(images: list[Image.Image], labels: list[str]) -> Image.Image:
    """Return the images side by side, each with its label below."""
    strip = Image.new("RGB", (len(images) * (SIDE + GAP) - GAP, SIDE + LABEL_HEIGHT), "white")
    draw, font = ImageDraw.Draw(strip), ImageFont.load_default(14)
    for index, (image, label) in enumerate(zip(images, labels, strict=True)):
        image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        left = index * (SIDE + GAP)
        strip.paste(image, (left + (SIDE - image.width) // 2, (SIDE - image.height) // 2))
        draw.text((left + SIDE // 2, SIDE + LABEL_HEIGHT // 2), label, fill="black", anchor="mm", font=font)
    return strip


def main() -> None:
    """Draw the strips that were asked for, or all."""
    parser = argparse.ArgumentParser(description="Draw what each parameter does, as small WebP strips.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(STRIPS)} (all)")
    parser.add_argument("--prompt", default="", help="the text to draw (the model's first example)")
    parser.add_argument("--out", type=Path, default=Path("docs/parameters"))
    options = parser.parse_args()
    if unknown := set(options.names) - STRIPS.keys():
        parser.error(f"there is no strip named {', '.join(sorted(unknown))}")
    options.out.mkdir(parents=True, exist_ok=True)
    asyncio.run(draw_strips(Config.read(os.environ), options.names or list(STRIPS), options.prompt, options.out))


if __name__ == "__main__":  # the GPU process imports this file again
    main()
