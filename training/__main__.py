"""Train and export the embedded model, one command per step: `python -m training vae`, `text`, `unet`, `export` …"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable
from pathlib import Path

import torch

from training.settings import EVALUATED_CAPTIONS, LATENTS, MODEL, ROOT, RUNS, SEED, SHEET_PROMPTS, UNET, VAE

Command = Callable[[argparse.Namespace], None]


def draw(options: argparse.Namespace) -> None:
    """Draw a contact sheet of new drawings for inspection."""
    from training.contact_sheet import make_contact_sheet
    from training.subjects import draw, sample_size, sample_subject

    rng = random.Random(options.seed)
    drawn = [draw(sample_subject(rng), sample_size(rng), rng.randrange(2**31)) for _ in range(48)]
    make_contact_sheet(drawn, RUNS / "drawings.png")


def vae(options: argparse.Namespace) -> None:
    """Train the autoencoder; --freeze fixes the latents, --decoder then trains only the decoder."""
    from training.vae import freeze_encoder, train_vae

    if options.freeze:
        freeze_encoder()
    else:
        train_vae(options.steps, options.batch, options.device, options.decoder)


def text(options: argparse.Namespace) -> None:
    """Train the tokenizer and the text encoder; --words and --reword fine-tune a trained one."""
    from training.rewording import reword
    from training.text import teach_words, train_text

    if options.reword:
        reword(device=options.device)
    elif options.words:
        teach_words(options.words, device=options.device)
    else:
        train_text(device=options.device)


def latents(options: argparse.Namespace) -> None:
    """Draw and encode the UNet's training data; --first and --step split the work between processes."""
    from training.latents import write_shards
    from training.vae import load_trained_vae

    write_shards(load_trained_vae().to(options.device), options.shards, options.first, options.step)


def unet(options: argparse.Namespace) -> None:
    """Train the UNet on the latents written so far."""
    from training.unet import train_unet

    train_unet(options.samples, options.batch, options.device)


def widen_unet(options: argparse.Namespace) -> None:
    """Widen a UNet checkpoint that has half the channels at full resolution."""
    from training.widen_unet import widen_unet

    widen_unet(options.narrow)


def finetune_vae(options: argparse.Namespace) -> None:
    """Fine-tune the autoencoder on new drawings while keeping its latents nearly unchanged."""
    from training.finetune_vae import finetune_vae

    finetune_vae()


def finetune_decoder(options: argparse.Namespace) -> None:
    """Fine-tune the decoder on latents that the UNet has denoised."""
    from training.finetune_decoder import finetune_decoder

    finetune_decoder()


def classifier(options: argparse.Namespace) -> None:
    """Train the image classifier on drawings."""
    from training.image_classifier import train_classifier

    train_classifier(options.device)


def export(options: argparse.Namespace) -> None:
    """Write the model folder."""
    from training.export import export

    export()


def restore(options: argparse.Namespace) -> None:
    """Convert the shipped model to checkpoints, replacing existing ones."""
    from training.restore import restore

    restore()


def sample_sheet(options: argparse.Namespace) -> None:
    """Generate the sample sheet with the shipped model, or with the last checkpoint (--checkpoint)."""
    from diffusers import StableDiffusionPipeline

    from training.export import load_trained_pipeline, make_sample_sheet

    pipeline = load_trained_pipeline() if options.checkpoint else StableDiffusionPipeline.from_pretrained(MODEL)
    make_sample_sheet(pipeline.to(options.device), list(SHEET_PROMPTS), options.to)


def evaluate(options: argparse.Namespace) -> None:
    """Evaluate the shipped model on held-out captions."""
    from training.evaluate import evaluate

    evaluate(count=options.captions, device=options.device)


def first_words(options: argparse.Namespace) -> None:
    """Generate what strangers type first with the shipped model, and count the blank images."""
    from training.first_words import evaluate_first_words

    evaluate_first_words(device=options.device)


COMMANDS: tuple[Command, ...] = (
    draw,
    vae,
    finetune_vae,
    text,
    latents,
    unet,
    widen_unet,
    finetune_decoder,
    classifier,
    export,
    restore,
    sample_sheet,
    evaluate,
    first_words,
)


def parser() -> argparse.ArgumentParser:
    """Build the parser of the commands and their options."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    shared.add_argument("--threads", type=int, default=1, help="CPU threads")
    top = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = top.add_subparsers(required=True)
    subparsers = {}
    for command in COMMANDS:
        name = command.__name__.replace("_", "-")
        subparsers[name] = commands.add_parser(name, parents=[shared], help=command.__doc__)
        subparsers[name].set_defaults(command=command)
    subparsers["draw"].add_argument("--seed", type=int, default=SEED)
    subparsers["vae"].add_argument("--steps", type=int, default=VAE.steps)
    subparsers["vae"].add_argument("--batch", type=int, default=VAE.batch)
    subparsers["vae"].add_argument("--freeze", action="store_true", help="fix and whiten the latents")
    subparsers["vae"].add_argument("--decoder", action="store_true", help="train only the decoder")
    teaching = subparsers["text"].add_mutually_exclusive_group()
    teaching.add_argument(
        "--words", nargs="+", metavar="WORD", help="objects, styles … that the encoder does not know yet"
    )
    teaching.add_argument("--reword", action="store_true", help="bring other languages near plain English")
    subparsers["latents"].add_argument("--shards", type=int, default=LATENTS.shards)
    subparsers["latents"].add_argument("--first", type=int, default=0, help="the first shard to write")
    subparsers["latents"].add_argument("--step", type=int, default=1, help="write every n-th shard")
    subparsers["unet"].add_argument("--samples", type=int, default=UNET.samples)
    subparsers["unet"].add_argument("--batch", type=int, default=UNET.batch)
    subparsers["widen-unet"].add_argument("narrow", type=Path, help="the checkpoint to widen")
    subparsers["evaluate"].add_argument("--captions", type=int, default=EVALUATED_CAPTIONS)
    subparsers["sample-sheet"].add_argument("--checkpoint", action="store_true", help="use the last checkpoint")
    subparsers["sample-sheet"].add_argument("--to", type=Path, default=ROOT / "docs" / "storybook-samples.jpg")
    return top


def main() -> None:
    """Run one command."""
    options = parser().parse_args()
    torch.set_num_threads(options.threads)
    options.command(options)


if __name__ == "__main__":
    main()
