"""The squares of a canvas: which may be painted, in which order they are offered, and which touch."""

from __future__ import annotations

from collections.abc import Collection, Iterable

Place = tuple[int, int]  # of a square of 2×2 cells, by its upper left cell
SQUARE: tuple[Place, ...] = ((0, 0), (1, 0), (0, 1), (1, 1))
REACH = 2  # squares this far apart, or nearer, touch or overlap


def middle(columns: int, rows: int) -> Place:
    """Return the place of the first piece."""
    return (columns - 2) // 2, (rows - 2) // 2


def cells_of(place: Place) -> list[Place]:
    """Return the cells of a square."""
    return [(place[0] + right, place[1] + down) for right, down in SQUARE]


def touch(one: Place, other: Place) -> bool:
    """Return whether two squares touch or overlap."""
    return abs(one[0] - other[0]) <= REACH and abs(one[1] - other[1]) <= REACH


def open_places(columns: int, rows: int, painted: Collection[Place], shut: Iterable[Place]) -> list[Place]:
    """Return the squares that go on from what is painted and touch none of `shut`, the nearest to the middle first."""
    shut, first = list(shut), middle(columns, rows)
    places = [(x, y) for y in range(rows - 1) for x in range(columns - 1)] if painted else [first]
    found = [
        place
        for place in places
        if (not painted or 0 < sum(cell in painted for cell in cells_of(place)) < len(SQUARE))
        and not any(touch(place, other) for other in shut)
    ]
    return sorted(found, key=lambda place: _distance(place, first))


def _distance(place: Place, first: Place) -> tuple[int, int, int]:
    right, down = place[0] - first[0], place[1] - first[1]
    return right * right + down * down, place[1], place[0]
