"""Collect the family of a picture: what one person may see of it, and nothing about the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from bot.images.family_tree import MAX_IN_ROW, Kind, Node, draw_tree, generations, lay_out
from bot.services import Services
from bot.ui.i18n import tr
from bot.ui.text import truncate
from db.jobs import JobRecord, JobState
from db.lineage import Edge
from generation.job import Action, Job
from generation.params import Tile
from generation.planning.actions import ENLARGING

MAX_COUNTED = 100  # children of one picture that are looked at
GENERATIONS_UP, GENERATIONS_DOWN = 2, 2
MAX_NAME = 14  # characters

CanView = Callable[[Job], bool]


@dataclass(slots=True)
class Family:
    """The pictures around `focus` that may be shown, by job id, and how they descend from each other.

    An id that is no job's stands for pictures of which only the existence may be known.
    """

    asked: str
    focus: str
    records: dict[str, JobRecord] = field(default_factory=dict)
    kinds: dict[str, Kind] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)  # by the parent

    def add(self, edge: Edge, node: str, kind: Kind, *, above: bool = False) -> None:
        """Add a picture, with the edge that leads to it."""
        self.kinds.setdefault(node, kind)
        parent, child = (node, edge.child) if above else (edge.parent_job, node)
        joined = Edge(child=child, parent_job=parent, parent_index=edge.parent_index, kind=edge.kind)
        if joined not in self.edges:
            self.edges.append(joined)

    @property
    def shown(self) -> list[JobRecord]:
        """Return the records of the pictures that are shown as such."""
        return [self.records[each] for each, kind in self.kinds.items() if kind in (Kind.PICTURE, Kind.SENSITIVE)]

    def older(self) -> str | None:
        """Return the picture that the focus was made from, if it is shown."""
        parents = (edge.parent_job for edge in self.edges if edge.child == self.focus)
        return next((each for each in parents if each in self.records), None)

    def younger(self) -> str | None:
        """Return what was made from the focus: on the way back to the asked picture, or else the newest."""
        children = [edge.child for edge in self.edges if edge.parent_job == self.focus and edge.child in self.records]
        return next((each for each in children if self._leads_to_asked(each)), children[0] if children else None)

    def _leads_to_asked(self, node: str) -> bool:
        below, reached = {node}, {node}
        while below:
            below = {edge.child for edge in self.edges if edge.parent_job in below} - reached
            reached |= below
        return self.asked in reached


async def collect_family(
    services: Services, can_view: CanView, asked: str, focus: str, *, show_sensitive: bool
) -> Family:
    """Collect two generations above and below `focus`, and what else was made from the same picture."""
    collector = _Collector(services, can_view, Family(asked, focus), show_sensitive)
    await collector.add_focus()
    await collector.add_ancestors()
    await collector.add_siblings()
    await collector.add_descendants()
    return collector.family


class _Collector:
    """Adds the relatives, row by row; it never looks beyond a picture that may not be seen."""

    def __init__(self, services: Services, can_view: CanView, family: Family, show_sensitive: bool) -> None:
        self.lineage, self.jobs = services.db.lineage, services.db.jobs
        self.can_view, self.family, self.show_sensitive = can_view, family, show_sensitive

    async def add_focus(self) -> None:
        record = await self.jobs.get(self.family.focus)
        self.family.kinds[self.family.focus] = self._kind(record)
        if record is not None and self._kind(record) in (Kind.PICTURE, Kind.SENSITIVE):
            self.family.records[record.job.id] = record

    async def add_ancestors(self) -> None:
        row = [self.family.focus]
        for _ in range(GENERATIONS_UP):
            row = await self._add_parents(row)

    async def _add_parents(self, row: Iterable[str]) -> list[str]:
        edges = await self.lineage.parents(row)
        found = await self.jobs.get_many({edge.parent_job for edge in edges})
        higher: list[str] = []
        for edge in edges:
            record = found.get(edge.parent_job)
            kind = self._kind(record)
            node = f"lock above {edge.child}" if kind is Kind.LOCKED else edge.parent_job
            if len(higher) >= MAX_IN_ROW and node not in higher:
                continue
            self.family.add(edge, node, kind, above=True)
            if record is not None and kind in (Kind.PICTURE, Kind.SENSITIVE):
                self.family.records[node] = record
            if kind is not Kind.LOCKED and node not in higher:
                higher.append(node)
        return higher

    async def add_siblings(self) -> None:
        edges = await self.lineage.parents([self.family.focus])
        if edges and self.family.kinds.get(edges[0].parent_job) is not None:
            await self._add_children([edges[0].parent_job], keep=self.family.focus)

    async def add_descendants(self) -> None:
        row = [self.family.focus] if self.family.kinds[self.family.focus] is not Kind.LOCKED else []
        for _ in range(GENERATIONS_DOWN):
            row = await self._add_children(row)

    async def _add_children(self, row: Iterable[str], keep: str | None = None) -> list[str]:
        families = [(each, await self.lineage.children(each, MAX_COUNTED)) for each in row]
        found = await self.jobs.get_many({edge.child for _, edges in families for edge in edges})
        lower: list[str] = [keep] if keep else []
        for parent, edges in families:
            left_out: set[str] = set()
            for edge in edges:
                self._add_child(edge, found.get(edge.child), lower, left_out)
            if left_out:
                self.family.left_out[parent] = len(left_out)
        return [each for each in lower if self.family.kinds.get(each) is not Kind.LOCKED]

    def _add_child(self, edge: Edge, record: JobRecord | None, lower: list[str], left_out: set[str]) -> None:
        kind = self._kind(record)
        node = {Kind.LOCKED: f"lock below {edge.parent_job}", Kind.EMPTY: f"gone below {edge.parent_job}"}.get(
            kind, edge.child
        )
        if record is not None and kind is Kind.LOCKED and not self._is_here(record):
            return
        if node not in lower and len(lower) >= MAX_IN_ROW and node not in self.family.kinds:
            if kind in (Kind.PICTURE, Kind.SENSITIVE):
                left_out.add(node)
            return
        self.family.add(edge, node, kind)
        if record is not None and kind in (Kind.PICTURE, Kind.SENSITIVE):
            self.family.records[node] = record
        if node not in lower:
            lower.append(node)

    def _is_here(self, record: JobRecord) -> bool:
        """Return whether a locked picture is of the same server: of others, not even a lock is shown."""
        focus = self.family.records.get(self.family.focus)
        return focus is not None and record.job.destination.guild_id == focus.job.destination.guild_id

    def _kind(self, record: JobRecord | None) -> Kind:
        if record is None:
            return Kind.EMPTY
        if not self.can_view(record.job):
            return Kind.LOCKED
        if record.deleted or record.state is not JobState.POSTED:
            return Kind.EMPTY
        return Kind.SENSITIVE if record.sensitive and not self.show_sensitive else Kind.PICTURE


async def draw_family(services: Services, family: Family, names: dict[str, str]) -> bytes:
    """Return the picture of a family; `names` are those below the pictures, by job id."""
    hearts = await services.db.favourites.counts(family.records)
    worders = await services.db.lineage.worded_by_others(family.records)
    thumbnails = await asyncio.to_thread(_read_thumbnails, services, family)
    nodes = [
        Node(
            id=each,
            kind=kind,
            verb=_words_by(worders.get(each)) or _verb_of(family, each),
            name=truncate(names.get(each, ""), MAX_NAME),
            hearts=hearts.get(each, 0),
            thumbnail=thumbnails.get(each),
            ringed=each == family.asked,
        )
        for each, kind in family.kinds.items()
    ]
    return await asyncio.to_thread(_draw, family, nodes)


def _draw(family: Family, nodes: list[Node]) -> bytes:
    edges = [(edge.parent_job, edge.child) for edge in family.edges]
    rows = generations([node.id for node in nodes], edges)
    below = {each: number + 1 for number, row in enumerate(rows) for each in row}
    more: dict[int, int] = {}
    for parent, number in family.left_out.items():
        row = min(below[parent], len(rows) - 1)
        more[row] = more.get(row, 0) + number
    texts = {row: tr("+{number} more", number=number) for row, number in more.items()}
    return draw_tree(nodes, lay_out(rows, edges, more), texts)


def _read_thumbnails(services: Services, family: Family) -> dict[str, bytes]:
    """Read the tile that each picture's child came from, or else its grid."""
    files, thumbnails = services.images.files, {}
    for each, kind in family.kinds.items():
        if kind is not Kind.PICTURE:
            continue
        record = family.records[each]
        index = _tile_index(family, each)
        if index is None and record.job.params.count == 1:
            index = 0
        path = files.grid_path(each, record.suffix or "png") if index is None else files.path(Tile(each, min(index, 3)))
        try:
            thumbnails[each] = path.read_bytes()
        except FileNotFoundError:
            continue
    return thumbnails


def _tile_index(family: Family, node: str) -> int | None:
    """Return the tile that a child came from; that of the asked picture's line comes first."""
    edges = [edge for edge in family.edges if edge.parent_job == node]
    edges.sort(key=lambda edge: not family._leads_to_asked(edge.child))
    return edges[0].parent_index if edges else None


def _verb_of(family: Family, node: str) -> str:
    edge = next((edge for edge in family.edges if edge.child == node), None)
    record = family.records.get(node)
    return verb(record.job.action, edge.kind) if record is not None and edge is not None else ""


def _words_by(name: str | None) -> str:
    return tr("words by {whom}", whom=name) if name else ""


def verb(action: Action, kind: str) -> str:
    """Return how a picture was made from its parent, in one or two words."""
    return tr(_KIND_VERBS.get(kind) or _VERBS.get(action, OTHER_VERB))


OTHER_VERB = "made from it"
_KIND_VERBS = {
    "blend": "blended",
    "source": "from this picture",
    "style": "in this style",
    "character": "with this character",
    "control": "drawn over it",
    "piece": "a piece of it",
}
_VERBS = {
    Action.REROLL: "drawn again",
    Action.PICK: "picked",
    **dict.fromkeys(ENLARGING, "upscaled"),
    **dict.fromkeys((Action.VARY_SUBTLE, Action.VARY_STRONG), "varied"),
    Action.VARY_REGION: "partly redrawn",
    **dict.fromkeys((Action.ZOOM_2, Action.ZOOM_1_5, Action.ZOOM_CUSTOM), "zoomed out"),
    Action.ZOOM_FILM: "animated",
    Action.WALK: "walked on",
    Action.EDIT: "edited",
    **dict.fromkeys((Action.PAN_LEFT, Action.PAN_RIGHT, Action.PAN_UP, Action.PAN_DOWN), "extended"),
    Action.MAKE_SQUARE: "made square",
    Action.COLOUR: "coloured",
    **dict.fromkeys((Action.REMIX_SUBTLE, Action.REMIX_STRONG), "reworded"),
}
