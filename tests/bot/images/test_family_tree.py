"""The layout of a family tree, from numbers alone, and its drawing."""

from __future__ import annotations

import io
from itertools import combinations
from random import Random

from PIL import Image

from bot.images.family_tree import (
    MAX_IN_ROW,
    MAX_NODES,
    PAPER,
    THUMBNAIL,
    Kind,
    Node,
    draw_tree,
    generations,
    lay_out,
)
from bot.images.fonts import load_font, printable
from tests.support.bot_harness import red_png


def random_family(seed):
    """Return rows of at most eight, and edges from a row to any row below it."""
    random = Random(seed)
    rows, left = [], random.randint(1, MAX_NODES)
    while left:
        size = min(left, random.randint(1, MAX_IN_ROW))
        rows.append([f"{len(rows)}.{number}" for number in range(size)])
        left -= size
    edges = [
        (random.choice(above), child)
        for number, row in enumerate(rows[1:], start=1)
        for child in row
        for above in random.sample(rows[:number], random.randint(1, min(2, number)))
    ]
    more = {number: random.randint(1, 99) for number in range(len(rows)) if random.random() < 0.3}
    return rows, edges, more


def overlap(one, other):
    return (
        one.left < other.left + other.width
        and other.left < one.left + one.width
        and one.top < other.bottom
        and other.top < one.bottom
    )


def test_no_two_boxes_overlap_and_all_are_inside():
    for seed in range(200):
        check_boxes(*random_family(seed))


def check_boxes(rows, edges, more):
    layout = lay_out(rows, edges, more)
    boxes = [*layout.boxes.values(), *layout.more.values()]
    assert len(layout.boxes) == sum(map(len, rows))
    assert layout.more.keys() == more.keys()
    assert [pair for pair in combinations(boxes, 2) if overlap(*pair)] == []
    width, height = layout.size
    assert all(box.left >= 0 and box.left + box.width <= width and box.bottom <= height for box in boxes)
    for row in rows:
        assert len({layout.boxes[each].top for each in row}) == 1


def test_every_line_leads_downwards():
    for rows, edges, more in map(random_family, range(50)):
        layout = lay_out(rows, edges, more)
        assert set(layout.edges) == set(edges)
        assert all(layout.boxes[parent].bottom <= layout.boxes[child].top for parent, child in layout.edges)


def test_a_picture_stands_below_all_that_it_was_made_from():
    edges = [("a", "b"), ("b", "c"), ("a", "c"), ("x", "c"), ("unknown", "a")]
    assert generations(["c", "a", "b", "x"], edges) == [["a", "x"], ["b"], ["c"]]


def test_a_circle_in_the_data_does_not_hang():
    assert sum(map(len, generations(["a", "b"], [("a", "b"), ("b", "a")]))) == 2
    assert generations([], []) == []


def test_an_only_child_stands_below_its_parent():
    layout = lay_out([["a", "b"], ["c"]], [("b", "c")], {})
    assert layout.boxes["c"].centre == layout.boxes["b"].centre


def draw(*nodes):
    layout = lay_out([[node.id for node in nodes]], [], {0: 12})
    return layout, Image.open(io.BytesIO(draw_tree(nodes, layout, {0: "+12 more"})))


def test_only_a_picture_that_may_be_seen_is_drawn():
    shown = {Kind.PICTURE}
    for kind in Kind:
        layout, picture = draw(Node(id="a", kind=kind, thumbnail=red_png(64, 64)))
        box = layout.boxes["a"]
        colours = picture.crop((box.left, box.top, box.left + box.width, box.bottom)).getcolors(100_000)
        assert ((255, 0, 0) in [colour for _, colour in colours]) is (kind in shown)


def test_the_asked_picture_is_ringed():
    plain, ringed = (draw(Node(id="a", ringed=each))[1].tobytes() for each in (False, True))
    assert plain != ringed


def test_long_and_foreign_names_stay_inside_their_boxes():
    names = ("W" * 60, "Жанна-Анна", "日本語の名前", "größer als je", "🦊" * 20)
    layout, picture = draw(*(Node(id=str(number), name=name) for number, name in enumerate(names)))
    paper = Image.new("RGB", (1, 1), PAPER).getpixel((0, 0))
    for left, right in zip(list(layout.boxes.values()), list(layout.boxes.values())[1:], strict=False):
        gap = picture.crop((left.left + left.width + 2, 0, right.left - 2, picture.height))
        assert [colour for _, colour in gap.getcolors()] == [paper]


def test_the_text_has_no_character_that_the_font_lacks():
    from PIL import ImageFont

    ascii_only = ImageFont.load_default(14)
    assert printable("größer Ä é 日", ascii_only) == "groesser Ae e ·"
    assert printable("plain", load_font(14)) == "plain"
    assert THUMBNAIL == 96
