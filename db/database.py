"""Open the database once, with every store over the same connection."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from db.connection import Connection
from db.deferrals import DeferralStore
from db.direct_messages import DirectMessageStore
from db.favourites import FavouriteStore
from db.finding.gallery import Gallery
from db.finding.picture_index import PictureIndex
from db.finding.search import JobSearch
from db.finding.shown_sessions import ShownSessions
from db.guilds import GuildStore
from db.jobs import JobStore
from db.lineage import LineageStore
from db.preferences import PreferenceStore
from db.privacy import PersonalData
from db.readings import ReadingStore
from db.reports import ReportStore
from db.stats import Stats
from db.styles import StyleStore
from db.threads import ThreadStore
from db.together.ballots import BallotStore
from db.together.bells import BellStore
from db.together.canvases import CanvasStore
from db.together.contests import ContestStore
from db.together.news import NewsStore
from db.together.sessions import SessionStore
from db.together.telephones import TelephoneStore
from db.usage import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """All stores over one connection."""

    connection: Connection
    jobs: JobStore
    preferences: PreferenceStore
    favourites: FavouriteStore
    search: JobSearch
    reports: ReportStore
    guilds: GuildStore
    stats: Stats
    usage: Usage
    personal_data: PersonalData
    threads: ThreadStore
    deferrals: DeferralStore
    direct_messages: DirectMessageStore
    sessions: SessionStore
    ballots: BallotStore
    lineage: LineageStore
    gallery: Gallery
    shown_sessions: ShownSessions
    picture_index: PictureIndex
    bells: BellStore
    contests: ContestStore
    canvases: CanvasStore
    news: NewsStore
    readings: ReadingStore
    telephones: TelephoneStore
    styles: StyleStore

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, clock: Callable[[], float] = time.time) -> AsyncIterator[Database]:
        """Open the database at `path`, creating and migrating it as needed; raises UnusableDatabaseError."""
        async with Connection.open(path) as connection:
            yield cls(
                connection=connection,
                jobs=JobStore(connection, clock),
                preferences=PreferenceStore(connection),
                favourites=FavouriteStore(connection, clock),
                search=JobSearch(connection),
                reports=ReportStore(connection, clock),
                guilds=GuildStore(connection, clock),
                stats=Stats(connection),
                usage=Usage(connection),
                personal_data=PersonalData(connection),
                threads=ThreadStore(connection),
                deferrals=DeferralStore(connection),
                direct_messages=DirectMessageStore(connection, clock),
                sessions=SessionStore(connection),
                ballots=BallotStore(connection),
                lineage=LineageStore(connection),
                gallery=Gallery(connection, clock),
                shown_sessions=ShownSessions(connection, clock),
                picture_index=PictureIndex(connection),
                bells=BellStore(connection),
                contests=ContestStore(connection),
                canvases=CanvasStore(connection),
                news=NewsStore(connection),
                readings=ReadingStore(connection),
                telephones=TelephoneStore(connection),
                styles=StyleStore(connection, clock),
            )
