"""Draw a family tree of pictures: a layout that is computed from numbers alone, and its drawing."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from PIL import Image, ImageDraw

from bot.images.fonts import load_font, printable
from bot.ui.text import truncate

THUMBNAIL = 96  # pixels
MAX_NODES, MAX_IN_ROW = 40, 8
BOX_WIDTH, VERB_HEIGHT, TEXT_HEIGHT = 140, 20, 38
BOX_HEIGHT = VERB_HEIGHT + THUMBNAIL + TEXT_HEIGHT
COLUMN_GAP, ROW_GAP, MARGIN = 16, 46, 24
MORE_WIDTH = 84
MAX_LABEL = 18  # characters
PAPER, FRAME, LINE, INK, FAINT, RING = "#2b2d31", "#4e5058", "#80848e", "#f2f3f5", "#b5bac1", "#f0b232"


class Kind(StrEnum):
    """What is known of a picture to the person who looks."""

    PICTURE = "picture"
    LOCKED = "locked"  # somebody's private picture
    EMPTY = "empty"  # deleted or forgotten
    SENSITIVE = "sensitive"  # not shown in this channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One picture of the tree. `verb` says how it was made from its parent, `thumbnail` is an encoded image."""

    id: str
    kind: Kind = Kind.PICTURE
    verb: str = ""
    name: str = ""
    hearts: int = 0
    thumbnail: bytes | None = None
    ringed: bool = False


@dataclass(frozen=True, slots=True)
class Box:
    """The place of a node, in pixels."""

    left: int
    top: int
    width: int
    height: int

    @property
    def centre(self) -> int:
        """Return the horizontal middle."""
        return self.left + self.width // 2

    @property
    def bottom(self) -> int:
        """Return the lower edge."""
        return self.top + self.height


@dataclass(frozen=True, slots=True)
class Layout:
    """Boxes by the ids of their nodes, the boxes that say how many more a row has, the lines, and the size."""

    boxes: Mapping[str, Box]
    more: Mapping[int, Box]
    edges: tuple[tuple[str, str], ...]
    size: tuple[int, int]


def generations(ids: Sequence[str], edges: Sequence[tuple[str, str]]) -> list[list[str]]:
    """Return the ids in rows: each picture below all that it was made from, in the order in which they are given."""
    known = set(ids)
    parents = {each: [parent for parent, child in edges if child == each and parent in known] for each in ids}
    depth: dict[str, int] = {}

    def depth_of(each: str, above: frozenset[str]) -> int:
        if each not in depth:
            higher = [depth_of(parent, above | {each}) for parent in parents[each] if parent not in above | {each}]
            depth[each] = 1 + max(higher, default=-1)
        return depth[each]

    for each in ids:
        depth_of(each, frozenset())
    rows: list[list[str]] = [[] for _ in range(1 + max(depth.values(), default=-1))]
    for each in ids:
        rows[depth[each]].append(each)
    return rows


def lay_out(rows: Sequence[Sequence[str]], edges: Sequence[tuple[str, str]], more: Mapping[int, int]) -> Layout:
    """Return where everything goes: children near the middle of their parents, and no box over another.

    `more` has the number of pictures that are left out of a row, by the row's number.
    """
    boxes: dict[str, Box] = {}
    more_boxes: dict[int, Box] = {}
    for number, row in enumerate(rows):
        top = MARGIN + number * (BOX_HEIGHT + ROW_GAP)
        wanted = {each: _wanted(each, boxes, edges) for each in row}
        order = sorted(row, key=lambda each: wanted[each])
        lefts = _spread([wanted[each] for each in order])
        boxes |= {each: Box(left, top, BOX_WIDTH, BOX_HEIGHT) for each, left in zip(order, lefts, strict=True)}
        if more.get(number):
            left = (lefts[-1] + BOX_WIDTH + COLUMN_GAP) if lefts else 0
            more_boxes[number] = Box(left, top, MORE_WIDTH, BOX_HEIGHT)
    return _moved_into_view(boxes, more_boxes, edges)


def _wanted(node: str, boxes: Mapping[str, Box], edges: Sequence[tuple[str, str]]) -> float:
    centres = [boxes[parent].centre for parent, child in edges if child == node and parent in boxes]
    return sum(centres) / len(centres) if centres else 0.0


def _spread(centres: Sequence[float]) -> list[int]:
    """Return left edges near sorted centres, at least a gap apart, moved together so that they are fair to all."""
    pitch = BOX_WIDTH + COLUMN_GAP
    placed: list[int] = []
    for centre in centres:
        left = round(centre - BOX_WIDTH / 2)
        placed.append(max(left, placed[-1] + pitch) if placed else left)
    drift = sum(left + BOX_WIDTH / 2 - centre for left, centre in zip(placed, centres, strict=True))
    shift = round(drift / len(placed)) if placed else 0
    return [left - shift for left in placed]


def _moved_into_view(boxes: Mapping[str, Box], more: Mapping[int, Box], edges: Sequence[tuple[str, str]]) -> Layout:
    every = [*boxes.values(), *more.values()]
    shift = MARGIN - min((box.left for box in every), default=MARGIN)
    moved = {name: _shifted(box, shift) for name, box in boxes.items()}
    right = max((box.left + box.width for box in every), default=MARGIN) + shift
    bottom = max((box.bottom for box in every), default=MARGIN)
    lines = tuple((a, b) for a, b in edges if a in moved and b in moved and moved[a].bottom <= moved[b].top)
    return Layout(
        moved, {row: _shifted(box, shift) for row, box in more.items()}, lines, (right + MARGIN, bottom + MARGIN)
    )


def _shifted(box: Box, by: int) -> Box:
    return Box(box.left + by, box.top, box.width, box.height)


def draw_tree(nodes: Sequence[Node], layout: Layout, more: Mapping[int, str]) -> bytes:
    """Return the tree as PNG; `more` has the text for what is left out of a row, by the row's number."""
    picture = Image.new("RGB", layout.size, PAPER)
    canvas = ImageDraw.Draw(picture)
    for parent, child in layout.edges:
        _draw_edge(canvas, layout.boxes[parent], layout.boxes[child])
    for node in nodes:
        _draw_node(picture, canvas, node, layout.boxes[node.id])
    for row, box in layout.more.items():
        _text(canvas, box.centre, box.top + VERB_HEIGHT + THUMBNAIL // 2, more[row], 16, FAINT)
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def _draw_edge(canvas: ImageDraw.ImageDraw, parent: Box, child: Box) -> None:
    start, end = (parent.centre, parent.bottom), (child.centre, child.top)
    middle = end[1] - ROW_GAP // 2
    canvas.line((start, (start[0], middle), (end[0], middle), end), LINE, 2, joint="curve")


def _draw_node(picture: Image.Image, canvas: ImageDraw.ImageDraw, node: Node, box: Box) -> None:
    # A line from two rows above may pass behind the box.
    canvas.rectangle((box.left, box.top, box.left + box.width, box.bottom), PAPER)
    left, top = box.centre - THUMBNAIL // 2, box.top + VERB_HEIGHT
    frame = (left, top, left + THUMBNAIL - 1, top + THUMBNAIL - 1)
    thumbnail = _thumbnail(node.thumbnail) if node.kind is Kind.PICTURE and node.thumbnail else None
    if thumbnail is not None:
        picture.paste(thumbnail, (box.centre - thumbnail.width // 2, top + (THUMBNAIL - thumbnail.height) // 2))
    else:
        canvas.rectangle(frame, None, FRAME, 2)
    if node.kind is Kind.LOCKED:
        _draw_lock(canvas, box.centre, top + THUMBNAIL // 2)
    if node.ringed:
        canvas.rounded_rectangle((left - 5, top - 5, left + THUMBNAIL + 4, top + THUMBNAIL + 4), 8, None, RING, 4)
    _text(canvas, box.centre, box.top + VERB_HEIGHT // 2 - 3, node.verb, 12, FAINT)
    _text(canvas, box.centre, top + THUMBNAIL + 14, node.name, 14, INK)
    if node.hearts:
        _draw_hearts(canvas, box.centre, top + THUMBNAIL + 29, node.hearts)


def _draw_lock(canvas: ImageDraw.ImageDraw, x: int, y: int) -> None:
    canvas.arc((x - 11, y - 24, x + 11, y + 6), 180, 0, FAINT, 4)
    canvas.rounded_rectangle((x - 16, y - 8, x + 16, y + 18), 4, FAINT)
    canvas.ellipse((x - 3, y + 1, x + 3, y + 7), PAPER)


def _draw_hearts(canvas: ImageDraw.ImageDraw, x: int, y: int, number: int) -> None:
    """Draw a small heart and how many people marked the picture with one; fonts have no hearts."""
    left = x - 12
    canvas.ellipse((left - 6, y - 5, left, y + 1), RING)
    canvas.ellipse((left, y - 5, left + 6, y + 1), RING)
    canvas.polygon(((left - 6, y - 1), (left + 6, y - 1), (left, y + 6)), RING)
    canvas.text((left + 11, y), str(number), FAINT, load_font(12), anchor="lm")


def _text(canvas: ImageDraw.ImageDraw, x: int, y: int, text: str, size: int, colour: str) -> None:
    font = load_font(size)
    shown = printable(truncate(text, MAX_LABEL), font)
    while len(shown) > 1 and font.getlength(shown) > BOX_WIDTH:
        shown = truncate(shown, len(shown) - 1)
    canvas.text((x, y), shown, colour, font, anchor="mm")


def _thumbnail(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as opened:
        opened.draft("RGB", (THUMBNAIL, THUMBNAIL))
        picture = opened.convert("RGB")
    picture.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    return picture
