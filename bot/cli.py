"""Generate a grid from the command line, without Discord: same prompt syntax, worker and files."""

from __future__ import annotations

import asyncio
import io
import logging
import tempfile
import webbrowser
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from bot.config import Config
from bot.dry_run import CONTROL_FILE, with_control_file
from bot.registry import load_registry
from bot.ui.text import slugify
from bot.workers import make_worker
from generation import messages
from generation.errors import UserError, WorkerCrashed
from generation.files.sanitize import sanitize_image
from generation.job import new_job_id
from generation.messages import Generate, Grid
from generation.models.model import Model
from generation.models.registry import ModelRegistry
from generation.models.words.unknown_words import unknown_words_note
from generation.params import Params, Upload
from generation.planning.shapes import in_shape, nearest_shape
from generation.prompt import (
    PromptError,
    PromptRequest,
    convert_infotext,
    is_link,
    parse_prompt,
    sets_field,
)
from generation.worker.worker import STARTING_PART, Broken, LocalWorker, Restarting, WorkerState

UPLOAD_LIMIT = 10 * 2**20  # bytes; Discord's limit, so the grid image is the same as there


async def generate_from_cli(
    config: Config, prompt: str, out: Path, image: Path | None, control: Path | None = None, *, show: bool = False
) -> None:
    """Generate `prompt` into the folder `out`, and print the paths, the model, the seed and the time.

    With `show`, open the grid. Raises UserError for problems the user can fix.
    """
    logging.getLogger("generation.worker").setLevel(logging.CRITICAL)  # its errors are printed as one sentence
    registry = load_registry(config)
    params = parse_cli_prompt(prompt, registry, with_image=image is not None, with_control=control is not None)
    model = registry.resolve(params)
    single_model_registry = replace(registry, models=(model,))  # loads only the model of this prompt
    worker = make_worker(config, single_model_registry)
    typed, left_out = convert_infotext(prompt, registry)
    request = with_shape(await asyncio.to_thread(_read_request, params, image, control), typed, model)
    params = request.params
    await asyncio.to_thread(_create_folder, out)  # before minutes of drawing
    console = Console()
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"), TimeElapsedColumn()
    try:
        with Progress(*columns, console=Console(stderr=True)) as bars:
            grid = await _generate(worker, request, bars)
    except WorkerCrashed as crash:
        raise UserError(f"The drawing process ended: {crash}") from None
    finally:
        await worker.close()
    sheet, *tiles = await asyncio.to_thread(_write_files, grid, params, request.job_id, out)
    lines = [f"{sheet}  (the grid)"]
    lines += [f"{tile}  (seed {params.seed_of(index)})" for index, tile in enumerate(tiles)]
    lines.append(f"{registry.model_name(params)} · seed {params.seed} · {grid.seconds:.1f} s")
    if note := unknown_words_note(model, params):
        lines.append(note)
    if left_out:
        lines.append(f"Not used: {', '.join(left_out)}")
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    if show and not await asyncio.to_thread(webbrowser.open, sheet.resolve().as_uri()):
        raise UserError(f"No program was found to open {sheet}")


def _read_request(params: Params, image: Path | None, control: Path | None) -> Generate:
    """Return a request with the pictures in the files that its parameters name, and in those of the options."""
    source = _read_image(image) if image else None
    is_edit = params.original is not None
    return Generate(
        new_job_id(),
        params,
        0,
        UPLOAD_LIMIT,
        None if is_edit or params.image_prompts else source,
        style=_read_image(Path(params.style_code)) if params.style else None,
        control=_read_image(control) if control else None,
        character=_read_image(Path(params.character_code)) if params.character else None,
        image_prompts=(source,) if params.image_prompts and source else (),
        original=source if is_edit else None,
    )


def with_shape(request: Generate, typed: str, model: Model) -> Generate:
    """Return the request for an edit in the shape of its picture, unless another one was typed, as in Discord."""
    if request.original is None or sets_field(typed, "aspect"):
        return request
    with Image.open(io.BytesIO(request.original)) as picture:
        aspect = nearest_shape(picture.size, model.max_aspect)
    return replace(request, params=in_shape(request.params, aspect, model))


def parse_cli_prompt(prompt: str, registry: ModelRegistry, *, with_image: bool, with_control: bool = False) -> Params:
    """Parse a prompt typed in the terminal; raise PromptError for what works in Discord only."""
    typed = with_control_file(prompt) if with_control else prompt
    request = parse_prompt(typed, registry, attached=int(with_image))
    if problems := list(_impossible(request)):
        raise PromptError(*problems)
    return replace(request.with_images([Upload("")] if with_image else []), control_code="")


def _impossible(request: PromptRequest) -> Iterator[str]:
    if request.links:
        yield "Links to pictures do not work in the terminal: use --image FILE"
    if is_link(request.params.style_code):
        yield "Links to pictures do not work in the terminal: use --sref FILE"
    if is_link(request.params.character_code):
        yield "Links to pictures do not work in the terminal: use --cref FILE"
    if request.params.control_code not in ("", CONTROL_FILE):
        yield "Links to pictures and their codes do not work in the terminal: use --control-picture FILE"
    if request.repeat > 1:
        yield "`--repeat` does not work in the terminal: run the command once for each grid"
    if request.params.video:
        yield "`--video` does not work in the terminal: it makes a film of a picture in Discord"
    if request.private is not None:
        name = "stealth" if request.private else "public"
        yield f"`--{name}` does not work in the terminal: the files are in your folder only"
    if request.speed is not None:
        yield f"`--{request.speed}` does not work in the terminal: there is no queue"


async def _generate(worker: LocalWorker, request: Generate, bars: Progress) -> Grid:
    loading = bars.add_task("Loading", total=None)
    worker.subscribe(lambda: _show_loading(worker, bars, loading))
    failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    worker.subscribe(lambda: _notice_failure(worker.state, failure))
    await worker.start()
    generating = bars.add_task("Drawing", total=None, start=False)
    grid = asyncio.ensure_future(worker.generate(request, lambda progress: _show_progress(progress, bars, generating)))
    outcomes: set[asyncio.Future[Any]] = {grid, failure}
    await asyncio.wait(outcomes, return_when=asyncio.FIRST_COMPLETED)
    if failure.done():
        grid.cancel()
        await asyncio.wait({grid})
        failure.result()
    return await grid


def _notice_failure(state: WorkerState, failure: asyncio.Future[None]) -> None:
    """End the wait when the model cannot be loaded or the process has died: nobody is there to try again for."""
    if isinstance(state, Restarting | Broken) and not failure.done():
        # A permanent failure is a sentence of its own.
        is_sentence = isinstance(state, Broken)
        failure.set_exception(UserError(state.reason if is_sentence else f"The drawing process ended: {state.reason}"))


def _show_loading(worker: LocalWorker, bars: Progress, task: TaskID) -> None:
    if (now := worker.loading) is not None:
        starting = now.part == STARTING_PART
        description = "Starting the engine" if starting else f"Loading {now.model}: {now.part}"
        bars.update(task, description=description, completed=now.done, total=now.total)
    elif isinstance(worker.state, messages.Ready):
        bars.update(task, description="Loading", completed=1, total=1)
        bars.stop_task(task)


def _show_progress(progress: messages.Progress, bars: Progress, task: TaskID) -> None:
    bars.start_task(task)
    bars.update(task, completed=progress.step, total=progress.total)


def _read_image(image: Path) -> bytes:
    try:
        return sanitize_image(image.read_bytes())
    except OSError as error:
        raise UserError(f"Cannot read {image}: {error.strerror}") from None


def _create_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise UserError(f"Cannot write to {out}: {error.strerror}") from None


def _write_files(grid: Grid, params: Params, job_id: str, out: Path) -> list[Path]:
    stem = f"{slugify(params.parts[0].text)}_{job_id}"
    files = {out / f"{stem}.{grid.suffix}": grid.image}
    files |= {out / f"{stem}-{index + 1}.png": tile for index, tile in enumerate(grid.tiles)}
    try:
        for path, data in files.items():
            path.write_bytes(data)
    except OSError as error:
        raise UserError(f"Cannot write to {out}: {error.strerror}") from None
    return list(files)
