"""The params of each button: pure functions from the parent's `Params` to the child's, and which are available."""

from __future__ import annotations

import math
import secrets
from collections.abc import Sequence
from dataclasses import replace
from enum import Enum

from generation.errors import UserError
from generation.job import Action
from generation.models.capabilities import Capability
from generation.models.model import Model, size_for
from generation.params import MAX_SEED, Frame, ImageRef, Params, PromptPart, Tile
from generation.planning.colouring import colourised, is_drawn_grey, with_default_words
from generation.planning.film_pictures import finished_picture
from generation.planning.holding import holds
from generation.text import Text

# Strengths (fractions of the noise): subtle keeps the source's composition, strong keeps its idea.
VARY_SUBTLE = 0.45
VARY_STRONG = 0.75
# An upscale keeps the image's shapes in any case: subtle only sharpens its details, creative invents new ones.
UPSCALE_SUBTLE = 0.2
UPSCALE_CREATIVE = 0.5
# New areas around or within an image start from its colours stretched over them; only the colours may show in the end.
OUTPAINT_STRENGTH = 0.95
BLEND_STRENGTH = 0.6  # as `--iw 1`
DEFAULT_KEEP = 15  # percent of the steps that *Edit words* draws with the words of the picture
RETOUCH_STRENGTH = 0.85  # what is not held needs much noise to become something else
MIX_STRENGTH = 0.9  # another idea needs much noise: the picture is mixed in at each step
COLOUR_STRENGTH = 0.75  # colours need much noise; the lightness is kept apart from it
DEFAULT_MIX_KEEP = 50  # percent of the picture in each step that mixes its shapes with another idea
PAN_FRACTION = 0.5  # of the length
MIN_ZOOM, MAX_ZOOM = 1.0, 2.0

# Areas, in squares of the model's native side.
MAX_SINGLE_WINDOW = 2.25  # the largest window that the UNet still generates as one scene
MAX_GRID_AREA = 4.0  # a tile of a grid; areas larger than one window are generated window by window
MAX_UPSCALED_AREA = 20.0  # four times the native side, with a margin for rounded sides
MAX_UPSCALED_AREA_UNTILED = 5.0  # twice the native side, for a model without windows
MAX_PANORAMA_RATIO = 8.0  # the longer side divided by the shorter


class Direction(Enum):
    """A side of an image, as steps to the right and down."""

    LEFT = (-1, 0)
    RIGHT = (1, 0)
    UP = (0, -1)
    DOWN = (0, 1)


PAN_DIRECTIONS = {
    Action.PAN_LEFT: Direction.LEFT,
    Action.PAN_RIGHT: Direction.RIGHT,
    Action.PAN_UP: Direction.UP,
    Action.PAN_DOWN: Direction.DOWN,
}


# Actions that draw an image larger; it follows no style and no ControlNet, since it has what they gave already.
ENLARGING = (Action.UPSCALE_SUBTLE, Action.UPSCALE_CREATIVE, Action.UPSCALE_CREATIVE_4)
# The capability that an action requires; actions that are not listed work with every model.
REQUIRED_CAPABILITY = {
    **dict.fromkeys((Action.VARY_SUBTLE, Action.VARY_STRONG), Capability.IMG2IMG),
    **dict.fromkeys((Action.REMIX_SUBTLE, Action.REMIX_STRONG), Capability.IMG2IMG),
    Action.COLOUR: Capability.COLOUR,
    **dict.fromkeys((Action.UPSCALE_SUBTLE, Action.UPSCALE_CREATIVE, Action.CLEAN_UP), Capability.UPSCALE),
    **dict.fromkeys((Action.ZOOM_2, Action.ZOOM_1_5, Action.ZOOM_CUSTOM), Capability.INPAINT),
    **dict.fromkeys((Action.VARY_REGION, Action.MAKE_SQUARE, *PAN_DIRECTIONS), Capability.INPAINT),
    Action.ZOOM_FILM: Capability.INPAINT,
    Action.WALK: Capability.WALK,
    Action.UPSCALE_CREATIVE_4: Capability.TILED,
}


def new_seed() -> int:
    """Return a random seed that leaves room for the seeds of all four tiles."""
    return secrets.randbelow(MAX_SEED - 3)


def size_of(params: Params) -> tuple[int, int]:
    """Return the final width and height in pixels of the images of `params`."""
    factor = 2 if params.hd else 1
    return factor * params.width, factor * params.height


def available_actions(params: Params, model: Model) -> frozenset[Action]:
    """Return the actions that `model` supports for one image of a result."""
    actions = _actions_for_size(params, model)
    return frozenset(
        action
        for action in actions
        if action not in REQUIRED_CAPABILITY or REQUIRED_CAPABILITY[action] in model.capabilities
    )


def _actions_for_size(params: Params, model: Model) -> set[Action]:
    """Return the actions that are possible for an image of this size and kind."""
    width, height = size_of(params)
    native = model.native_size**2
    max_area = MAX_UPSCALED_AREA if Capability.TILED in model.capabilities else MAX_UPSCALED_AREA_UNTILED
    actions = {Action.VARY_SUBTLE, Action.VARY_STRONG, Action.VARY_REGION, Action.REMIX_SUBTLE, Action.REMIX_STRONG}
    if params.film is None and not params.mix:
        actions.add(Action.EDIT_WORDS)
    if is_drawn_grey(params) and not (params.colourise or params.mix or params.film):
        actions.add(Action.COLOUR)
    if params.count > 1:
        actions |= {Action.PICK} if holds(params) else {Action.PICK, Action.WALK}
    if width * height <= max_area * native:
        actions.add(Action.CLEAN_UP)
    if 4 * width * height <= max_area * native:
        actions |= {Action.UPSCALE_SUBTLE, Action.UPSCALE_CREATIVE}
    if 16 * width * height <= max_area * native:
        actions.add(Action.UPSCALE_CREATIVE_4)
    if params.seamless:  # it continues with itself on all sides
        return actions - {Action.VARY_REGION}
    actions |= {Action.ZOOM_2, Action.ZOOM_1_5, Action.ZOOM_CUSTOM, Action.ZOOM_FILM}
    actions |= {action for action, direction in PAN_DIRECTIONS.items() if _can_pan(width, height, direction, model)}
    if width != height:
        actions.add(Action.MAKE_SQUARE)
    return actions


def reroll(parent: Params, seed: int) -> Params:
    """Return the same params with another seed; a walk keeps the distance between the seeds of its ends."""
    film = parent.film
    if film is None or film.to is None:
        return replace(parent, seed=seed)
    to = replace(film.to, seed=(film.to.seed - parent.seed + seed) % (MAX_SEED + 1), tiles=())
    return replace(parent, seed=seed, film=replace(film, to=to))


def pick(parent: Params, tile: Tile) -> Params:
    """Return the params of `tile` alone, unchanged: nothing is generated."""
    return replace(_single_tile(parent, tile), count=1, strength=0.0)


def alone(parent: Params, tile: Tile) -> Params:
    """Return the params of one tile of a grid, which draw it again; with chaos, the seed decides on its drift too."""
    seed = (parent.seed + tile.index) % (MAX_SEED + 1) if parent.chaos else parent.seed_of(tile.index)
    return replace(parent, seed=seed, count=1, video=False)


def vary(parent: Params, tile: Tile, model: Model, strength: float, seed: int) -> Params:
    """Return the params of a grid of variations of `tile`, at the model's own size even if the tile was upscaled.

    With the `Params` of an edited prompt instead of the parent's, this is a remix.
    """
    width, height = _grid_size(parent, model)
    return replace(_derived(parent, tile, seed), width=width, height=height, count=4, strength=strength)


def colour(parent: Params, tile: Tile, model: Model, seed: int) -> Params:
    """Return the params of a grid that colours a grey `tile` with its own words."""
    return vary(colourised(parent), tile, model, COLOUR_STRENGTH, seed)


def vary_region(
    parent: Params,
    tile: Tile,
    model: Model,
    seed: int,
    *,
    region: Sequence[int] = (),
    mask: ImageRef | None = None,
) -> Params:
    """Return the params of a grid that regenerates only the cells of `region`, or the white of `mask`."""
    if mask is None and not 0 < len(set(region)) < 9:
        raise UserError(Text("Choose what to redraw: at least one part, but not the whole picture."))
    width, height = _canvas_size(model, *size_of(parent), _max_grid_area(model))
    child = _outpaint(parent, tile, seed, parent.aspect, (width, height), Frame(0, 0, width, height))
    return replace(child, mask=mask, region=() if mask else tuple(sorted(set(region))))


def upscale(parent: Params, tile: Tile, factor: int = 2, strength: float = UPSCALE_SUBTLE) -> Params:
    """Return the params of `tile` at `factor` times its size, refined with the same prompt and the tile's seed.

    The details of a larger image have a lightness of their own.
    """
    if factor > 1:
        parent = replace(with_default_words(parent), colourise=False)
    width, height = size_of(parent)
    child = replace(
        _single_tile(parent, tile), width=factor * width, height=factor * height, count=1, strength=strength
    )
    return replace(child, stop=100, hd=False, draft=False)


def zoom_out(
    parent: Params, tile: Tile, model: Model, seed: int, factor: float, aspect: tuple[int, int] | None = None
) -> Params:
    """Return the params of a grid that shows `tile` zoomed out by `factor`, with the aspect ratio `aspect` if given.

    Raise UserError for a factor out of range, and if there would be nothing to generate around the image.
    """
    if not MIN_ZOOM <= factor <= MAX_ZOOM:
        raise UserError(Text("`--zoom` must be between {low} and {high}", low=f"{MIN_ZOOM:g}", high=f"{MAX_ZOOM:g}"))
    width, height = size_of(parent)
    canvas = _canvas_size(model, *_enclosing_box(width, height, aspect or (width, height)), MAX_SINGLE_WINDOW)
    frame = _centered_frame(canvas, width, height, factor)
    if (frame.width, frame.height) == canvas:
        raise UserError(
            Text("There is nothing to draw around the picture: choose a larger `--zoom` or another `--ar`.")
        )
    return _outpaint(parent, tile, seed, aspect or parent.aspect, canvas, frame)


def make_square(parent: Params, tile: Tile, model: Model, seed: int) -> Params:
    """Return the params of a grid that extends `tile` to a square; raise UserError if it is square already."""
    return zoom_out(parent, tile, model, seed, 1.0, (1, 1))


def pan(parent: Params, tile: Tile, model: Model, seed: int, direction: Direction) -> Params:
    """Return the params of a grid that extends `tile` to one side by half its length; raise UserError if too long."""
    width, height = size_of(parent)
    if not _can_pan(width, height, direction, model):
        raise UserError(Text("This picture is already too long to be extended on that side."))
    right, down = direction.value
    along, across = (width, height) if right else (height, width)
    scale = _downscale_factor(model, (1 + PAN_FRACTION) * along, across, _max_grid_area(model))
    side = _round_side(model, scale * across)
    kept = round(along * side / across)
    extended = _round_side(model, (1 + PAN_FRACTION) * kept)
    start = extended - kept if right + down < 0 else 0
    canvas = (extended, side) if right else (side, extended)
    frame = Frame(start, 0, kept, side) if right else Frame(0, start, side, kept)
    shared = math.gcd(*canvas)
    aspect = canvas[0] // shared, canvas[1] // shared
    return _outpaint(parent, tile, seed, aspect, canvas, frame)


def with_prompt_of(child: Params, edited: Params) -> Params:
    """Return `edited` with the source, size and aspect ratio of a button's params.

    For actions that keep the image's position (zoom, pan, square, region); a variation uses the edited params directly.
    """
    edited = replace(edited, **{name: getattr(child, name) for name in _GEOMETRY})
    return edited if child.frame is None else _within_frame(edited, child.frame)


def with_distinct_seeds(parent: Params) -> Params:
    """Turn off `same_seed` for tiles that start from one image: the same noise would generate it four times.

    With chaos the tiles differ even so, and `same_seed` stays.
    """
    return replace(parent, same_seed=parent.same_seed and parent.chaos > 0)


def rescaled_for(params: Params, model: Model, original_model: Model | None) -> Params:
    """Return `params` scaled by the ratio of the models' native sides; unchanged without `original_model`."""
    if original_model is None or original_model.native_size == model.native_size:
        return params
    scale = model.native_size / original_model.native_size
    width, height = _round_side(model, scale * params.width), _round_side(model, scale * params.height)
    frame = params.frame and _scaled_frame(params.frame, width / params.width, height / params.height)
    return replace(params, width=width, height=height, frame=frame)


def blend(images: Sequence[ImageRef], model: Model, aspect: tuple[int, int], seed: int) -> Params:
    """Return the params of a grid that blends `images`, with an empty prompt."""
    width, height = size_for(model, aspect)
    return Params(
        parts=(PromptPart(""),),
        aspect=aspect,
        width=width,
        height=height,
        seed=seed,
        num_inference_steps=model.num_inference_steps,
        guidance_scale=model.guidance_scale,
        model=model.name,
        source=images[0],
        blended=tuple(images[1:]),
        strength=BLEND_STRENGTH,
    )


_GEOMETRY = (
    "aspect",
    "width",
    "height",
    "count",
    "source",
    "strength",
    "mask",
    "blended",
    "frame",
    "region",
    "seamless",
    "draft",
    "hd",
    "film",
)


def _derived(parent: Params, tile: Tile, seed: int) -> Params:
    """Return params that start from `tile` alone, without the parent's own source, mask, frame and blended images."""
    child = with_distinct_seeds(finished_picture(parent))
    return replace(
        child,
        seed=seed,
        source=tile,
        mask=None,
        frame=None,
        region=(),
        blended=(),
        video=False,
        hold=False,
        retouch=False,
    )


def _single_tile(parent: Params, tile: Tile) -> Params:
    """Return params that start from `tile` with its own seed."""
    parent = finished_picture(parent)
    return _derived(parent, tile, alone(parent, tile).seed)


def _outpaint(
    parent: Params, tile: Tile, seed: int, aspect: tuple[int, int], canvas: tuple[int, int], frame: Frame
) -> Params:
    child = replace(
        _derived(parent, tile, seed),
        aspect=aspect,
        width=canvas[0],
        height=canvas[1],
        count=4,
        strength=OUTPAINT_STRENGTH,
        frame=frame,
        seamless=False,
        hd=False,
    )
    return _within_frame(child, frame)


def _within_frame(params: Params, frame: Frame) -> Params:
    """Return params without what a picture of the frame alone cannot tell, if the frame is not the whole canvas.

    ControlNets need the surroundings too, and the lightness is kept of a whole picture only.
    """
    if (frame.width, frame.height) == (params.width, params.height):
        return params
    return replace(with_default_words(params), controls=(), control=None, control_code="", colourise=False)


def _scaled_frame(frame: Frame, scale_x: float, scale_y: float) -> Frame:
    left, top = round(scale_x * frame.left), round(scale_y * frame.top)
    right, bottom = round(scale_x * (frame.left + frame.width)), round(scale_y * (frame.top + frame.height))
    return Frame(left, top, max(1, right - left), max(1, bottom - top))


def _grid_size(parent: Params, model: Model) -> tuple[int, int]:
    """Return the size of a new grid: the size that its prompt gets.

    A panorama keeps its own size: it is longer than the model can generate at once.
    """
    if max(parent.width, parent.height) > model.max_aspect * min(parent.width, parent.height):
        return _canvas_size(model, parent.width, parent.height, _max_grid_area(model))
    return size_for(model, parent.aspect, draft=parent.draft)


def _max_grid_area(model: Model) -> float:
    return MAX_GRID_AREA if Capability.TILED in model.capabilities else MAX_SINGLE_WINDOW


def _canvas_size(model: Model, width: float, height: float, areas: float) -> tuple[int, int]:
    """Return the nearest sides that the model supports, scaled down to at most `areas` native areas."""
    scale = _downscale_factor(model, width, height, areas)
    return _round_side(model, scale * width), _round_side(model, scale * height)


def _downscale_factor(model: Model, width: float, height: float, areas: float) -> float:
    return min(1.0, math.sqrt(areas / (width * height)) * model.native_size)


def _round_side(model: Model, length: float) -> int:
    return max(1, round(length / model.size_multiple)) * model.size_multiple


def _enclosing_box(width: int, height: int, aspect: tuple[int, int]) -> tuple[float, float]:
    """Return the sides of the smallest box with this aspect ratio that contains the image."""
    ratio = aspect[0] / aspect[1]
    return max(width, height * ratio), max(height, width / ratio)


def _centered_frame(canvas: tuple[int, int], width: int, height: int, factor: float) -> Frame:
    scale = min(canvas[0] / width, canvas[1] / height)
    inner = round(width * scale / factor), round(height * scale / factor)
    return Frame((canvas[0] - inner[0]) // 2, (canvas[1] - inner[1]) // 2, *inner)


def _can_pan(width: int, height: int, direction: Direction, model: Model) -> bool:
    max_ratio = MAX_PANORAMA_RATIO if Capability.TILED in model.capabilities else model.max_aspect
    right, down = direction.value
    longer = (1 + PAN_FRACTION * abs(right)) * width, (1 + PAN_FRACTION * abs(down)) * height
    return max(longer) <= max_ratio * min(longer)
