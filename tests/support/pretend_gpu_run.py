"""Draw jobs of every kind on a pretended GPU, and print the waits of each thread."""

from __future__ import annotations

from generation.engine.device.lean_imports import import_libraries
from tests.support import pretend_gpu

pretend_gpu.enter()
import_libraries()

import io  # noqa: E402
import json  # noqa: E402
import sys  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402
from dataclasses import replace  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any, ClassVar  # noqa: E402
from unittest.mock import patch  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402
from PIL import Image  # noqa: E402

from generation.engine.denoising import engine as engine_module  # noqa: E402
from generation.engine.denoising.engine import DenoisingEngine  # noqa: E402
from generation.engine.networks.pipeline_loader import load_pipeline  # noqa: E402
from generation.engine.networks.sampler_tables import SamplerTable, SamplerTables  # noqa: E402
from generation.messages import Event, Failed, Finished, Generate, Progress, Read  # noqa: E402
from generation.models.files.lora import Lora  # noqa: E402
from generation.models.model import EMBEDDED, describe_model  # noqa: E402
from generation.models.samplers import SAMPLERS  # noqa: E402
from generation.models.words.vocabulary import Vocabulary  # noqa: E402
from generation.params import (  # noqa: E402
    ControlWeight,
    FilmKind,
    FilmPlan,
    Frame,
    LoraWeight,
    PromptPart,
    ReadingKind,
    Tile,
    WalkEnd,
)
from tests.support.control_file import random_control, scan, write_file  # noqa: E402
from tests.support.engine_harness import make_params  # noqa: E402
from tests.support.image_adapter_file import scan_images, write_adapter  # noqa: E402
from tests.support.lora_file import random_layers, write_kohya  # noqa: E402

WORDS_OF_A_KIND = 2
SOURCE = {"source": Tile("p" * 20, 0)}
KINDS: dict[str, dict[str, Any]] = {
    "chaos": {"chaos": 50, "weird": 500, "negative_prompt": "fog"},
    "seamless": {"seamless": True},
    "hires": {"hd": True},
    "stop": {"stop": 50},
    "from a picture": SOURCE | {"strength": 0.5},
    "region": SOURCE | {"strength": 0.8, "region": (0, 4)},
    "outpainting": SOURCE | {"strength": 1.0, "width": 128, "frame": Frame(32, 0, 64, 64)},
    "LoRA": {"loras": (LoraWeight("ink", 0.5),)},
    "style": {"style": Tile("p" * 20, 1)},
    "style from a picture": SOURCE | {"style": Tile("p" * 20, 1), "strength": 0.5},
    "control": {"control": Tile("p" * 20, 2), "controls": (ControlWeight("lines", 1.0),)},
    "character": {"character": Tile("p" * 20, 3), "character_adapter": "plus"},
    "walk": {"film": FilmPlan(FilmKind.WALK, 2, (), WalkEnd((PromptPart("a blue moon"),), 9))},
    "video": {"video": True},
    "video at twice the size": {"video": True, "hd": True},
    "shorten": {"reading": ReadingKind.SHORTEN, "count": 0},
    "describe": SOURCE | {"reading": ReadingKind.DESCRIBE, "count": 0},
    "windows": SOURCE | {"strength": 0.6, "width": 128, "height": 96},
}


def cases() -> dict[str, list[dict[str, Any]]]:
    """Return the jobs to draw together, as changes of one: all samplers, all of them over a region, and each kind."""
    plain: list[dict[str, Any]] = [{"sampler": sampler, "count": 1} for sampler in SAMPLERS]
    region = [each | KINDS["region"] for each in plain]
    kinds = {kind: [changes] for kind, changes in KINDS.items()}
    return {"samplers": plain, "samplers over a region": region, **kinds, "previews": [{"num_inference_steps": 8}]}


def picture() -> bytes:
    """Return a picture to start from."""
    file = io.BytesIO()
    values = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(values).save(file, "PNG")
    return file.getvalue()


def main(folder: str, xl_folder: str) -> None:
    """Draw each case, and print as JSON which thread waited for what and where, and which ones read tables."""
    report = draw_all(folder, cases()) | draw_all(xl_folder, {"XL": [{}], "XL from a picture": [SOURCE]})
    json.dump(report, sys.stdout)


class RecordedTables(SamplerTables):
    """Tables that note the thread on which each is read."""

    readers: ClassVar[list[str]] = []

    def _read(self, *settings: Any) -> SamplerTable:
        self.readers.append(threading.current_thread().name.partition("_")[0])
        return super()._read(*settings)


def draw_all(folder: str, cases: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Draw cases with the model in a folder, which has an image encoder; return the waits and who read tables."""
    pipeline = load_pipeline(folder, "cpu", lambda _: None, torch.float32)
    lora = write_kohya(Path(folder, "ink.safetensors"), random_layers(pipeline, 3, unet=("mid_block.resnets.0.conv1",)))
    write_file(random_control(pipeline.unet, 1), Path(folder, "controls", "lines.safetensors"))
    write_adapter(Path(folder, "images", "plus.safetensors"), pipeline.unet, "plus")
    for network in (*pipeline.text_encoders, pipeline.unet, pipeline.vae):
        pretend_gpu.move(network)
    events: list[Event] = []
    model = replace(pipeline.model, vocabulary=some_words(describe_model(EMBEDDED).vocabulary))
    on_device = replace(pipeline, device=pretend_gpu.DEVICE, model=model)
    with patch.object(engine_module, "SamplerTables", RecordedTables):
        images = scan_images(Path(folder, "images")).images
        adapters = replace(scan(Path(folder, "controls")), loras=(Lora("ink", lora),), images=images)
        engine = DenoisingEngine(on_device, events.append, adapters=adapters)
    report = {}
    for name, jobs in cases.items():
        pretend_gpu.WAITS.seen.clear()
        RecordedTables.readers.clear()
        with patch.object(engine_module, "PREVIEW_INTERVAL_S", 0.0 if name == "previews" else 1e9):
            draw(engine, events, name, jobs)
        previews = sum(isinstance(event, Progress) and event.preview is not None for event in events)
        report[name] = {
            "jobs": len(jobs),
            "previews": previews,
            "waits": list(pretend_gpu.WAITS.seen),
            "table readers": list(RecordedTables.readers),
        }
    engine.close()
    return report


def some_words(vocabulary: Vocabulary) -> Vocabulary:
    """Return a vocabulary with as many words of each kind as describing a picture tells apart again."""
    return replace(vocabulary, kinds=tuple((kind, words[:WORDS_OF_A_KIND]) for kind, words in vocabulary.kinds))


def draw(engine: DenoisingEngine, events: list[Event], name: str, jobs: list[dict[str, Any]]) -> None:
    """Draw jobs together, of two tiles each unless they say otherwise; raise RuntimeError if one fails."""
    events.clear()
    for number, changes in enumerate(jobs):
        params = make_params(**{"count": 2, "num_inference_steps": 4} | changes)
        pictures = {
            each: picture() for each in ("source", "style", "control", "character") if getattr(params, each) is not None
        }
        places = (0.0, 1.0) if params.film else ()
        engine.add(Generate(f"{name} {number}", params, number, 10**7, places=places, **pictures))
    while sum(isinstance(event, Finished | Read) for event in events) < len(jobs):
        if failed := [event for event in events if isinstance(event, Failed)]:
            raise RuntimeError(str(failed))
        engine.step() if engine.busy else time.sleep(0.001)


if __name__ == "__main__":
    main(*sys.argv[1:])
