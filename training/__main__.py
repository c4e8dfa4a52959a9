"""Make the embedded model, one command for each part: python -m training draw|vae|text|latents|unet|judge|export …"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable
from pathlib import Path

import torch

from training.settings import LATENTS, MODEL, ROOT, RUNS, SEED, SHEET_PROMPTS, UNET, VAE

Command = Callable[[argparse.Namespace], None]


def draw(options: argparse.Namespace) -> None:
    """Draw a sheet of fresh drawings, to be looked at."""
    from training.drawings import aspect_for, draw, think_up
    from training.sheets import contact_sheet

    rng = random.Random(options.seed)
    drawn = [draw(think_up(rng), aspect_for(rng), rng.randrange(2**31)) for _ in range(48)]
    contact_sheet(drawn, RUNS / "drawings.png")


def vae(options: argparse.Namespace) -> None:
    """Train the autoencoder; --freeze settles the latents, --decoder trains on with settled latents."""
    from training.vae import freeze_encoder, train_vae

    if options.freeze:
        freeze_encoder()
    else:
        train_vae(options.steps, options.batch, options.device, options.decoder)


def text(options: argparse.Namespace) -> None:
    """Train the tokenizer and the text encoder; --words teaches a finished encoder more words."""
    from training.text import learn_words, train_text

    if options.words:
        learn_words(options.words, device=options.device)
    else:
        train_text(device=options.device)


def latents(options: argparse.Namespace) -> None:
    """Draw and encode what the UNet learns from; several processes share it by --first and --step."""
    from training.latents import write_shards
    from training.vae import trained_vae

    write_shards(trained_vae().to(options.device), options.shards, options.first, options.step)


def unet(options: argparse.Namespace) -> None:
    """Train the UNet on what has been drawn so far."""
    from training.unet import train_unet

    train_unet(options.samples, options.batch, options.device)


def widen(options: argparse.Namespace) -> None:
    """Go on from a UNet checkpoint that has half the channels at full resolution."""
    from training.widen import widen

    widen(options.narrow)


def adapt(options: argparse.Namespace) -> None:
    """Train the autoencoder on new drawings, its latents staying nearly where they are."""
    from training.adapt import adapt

    adapt()


def refine(options: argparse.Namespace) -> None:
    """Train the decoder on latents as the UNet leaves them."""
    from training.refine import refine

    refine()


def judge(options: argparse.Namespace) -> None:
    """Train the judge on drawings, with another seed on other ones."""
    from training.judge import train_judge

    train_judge(options.device, options.seed)


def export(options: argparse.Namespace) -> None:
    """Write the model folder."""
    from training.export import export

    export()


def restore(options: argparse.Namespace) -> None:
    """Turn the shipped model back into checkpoints, in the place of those that are there."""
    from training.restore import restore

    restore()


def sheet(options: argparse.Namespace) -> None:
    """Draw the contact sheet of the shipped model, or of the last checkpoint with --checkpoint."""
    from diffusers import StableDiffusionPipeline

    from training.export import draw_sheet, trained_pipeline

    pipeline = trained_pipeline() if options.checkpoint else StableDiffusionPipeline.from_pretrained(MODEL)
    draw_sheet(pipeline.to(options.device), list(SHEET_PROMPTS), options.to)


def evaluate(options: argparse.Namespace) -> None:
    """Measure the shipped model."""
    from training.evaluate import evaluate

    evaluate(device=options.device)


COMMANDS: tuple[Command, ...] = (
    draw,
    vae,
    adapt,
    text,
    latents,
    unet,
    widen,
    refine,
    judge,
    export,
    restore,
    sheet,
    evaluate,
)


def parser() -> argparse.ArgumentParser:
    """Describe the commands and their options."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    shared.add_argument("--threads", type=int, default=1, help="CPU threads")
    top = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = top.add_subparsers(required=True)
    made = {}
    for command in COMMANDS:
        made[command.__name__] = commands.add_parser(command.__name__, parents=[shared], help=command.__doc__)
        made[command.__name__].set_defaults(command=command)
    made["draw"].add_argument("--seed", type=int, default=SEED)
    made["judge"].add_argument("--seed", type=int, default=SEED + 10)
    made["vae"].add_argument("--steps", type=int, default=VAE.steps)
    made["vae"].add_argument("--batch", type=int, default=VAE.batch)
    made["vae"].add_argument("--freeze", action="store_true", help="settle the latents")
    made["vae"].add_argument("--decoder", action="store_true", help="train only the decoder on")
    made["text"].add_argument("--words", nargs="+", metavar="WORD", help="things, styles … that it does not know yet")
    made["latents"].add_argument("--shards", type=int, default=LATENTS.shards)
    made["latents"].add_argument("--first", type=int, default=0, help="the first shard to write")
    made["latents"].add_argument("--step", type=int, default=1, help="write every n-th shard")
    made["unet"].add_argument("--samples", type=int, default=UNET.samples)
    made["unet"].add_argument("--batch", type=int, default=UNET.batch)
    made["widen"].add_argument("narrow", type=Path, help="the checkpoint to go on from")
    made["sheet"].add_argument("--checkpoint", action="store_true", help="draw with the last checkpoint")
    made["sheet"].add_argument("--to", type=Path, default=ROOT / "docs" / "storybook-samples.jpg")
    return top


def main() -> None:
    """Run one command."""
    options = parser().parse_args()
    torch.set_num_threads(options.threads)
    options.command(options)


if __name__ == "__main__":
    main()
