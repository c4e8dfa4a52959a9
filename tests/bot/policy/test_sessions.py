"""Who may start a session and who may take part, in one place."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.policy.policy import Policy, PolicyDenied, RequestContext
from bot.policy.sessions import DAY_S, HOUR_S, Participant, require_host, require_participant, require_public
from bot.policy.settings import GuildSettings, to_dict
from db.connection import Connection
from db.guilds import AuditEntry, Block, GuildStore
from db.usage import Usage
from tests.support.jobs import make_job

GUILD, CHANNEL, CATEGORY, ADA, HOSTS = 1, 2, 3, 11, 21
CONTEXT = RequestContext(guild_id=GUILD, channel_ids=frozenset({CHANNEL, CATEGORY}), person_id=ADA)
ADULT = Participant(context=CONTEXT, account_age=400 * DAY_S, member_age=48 * HOUR_S)


@pytest.fixture
async def guilds(tmp_path, make_database):
    async with Connection.open(make_database(tmp_path / "store.sqlite3")) as connection:
        yield GuildStore(connection, lambda: 1000.0)


@pytest.fixture
def policy(guilds):
    return Policy(guilds, Usage(guilds._connection), lambda: 1000.0)


async def configure(guilds, **settings):
    entry = AuditEntry(guild_id=GUILD, person_id=9, act="settings", details="x", at=1.0)
    version = (await guilds.settings(GUILD)).version
    assert await guilds.set_settings(entry, to_dict(GuildSettings(**settings)), version)


async def test_an_old_member_may_host_and_take_part(policy):
    assert await require_participant(policy, ADULT) == await require_host(policy, ADULT) == GuildSettings()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"account_age": 6.9 * DAY_S}, "at least 7 days old"),
        ({"member_age": 23.9 * HOUR_S}, "at least 24 hours"),
        ({"member_age": None}, "at least 24 hours"),
        ({"context": replace(CONTEXT, guild_id=None)}, "in servers only"),
    ],
)
async def test_newcomers_may_neither_vote_nor_host(policy, changes, reason):
    newcomer = replace(ADULT, **changes)
    for require in (require_participant, require_host):
        with pytest.raises(PolicyDenied, match=reason):
            await require(policy, newcomer)


async def test_the_owners_decide_how_old_an_account_must_be(policy, guilds):
    await configure(guilds, min_account_days=0, min_member_hours=0)
    await require_host(policy, replace(ADULT, account_age=0.0, member_age=0.0))


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"host_roles": (HOSTS,)}, f"Only <@&{HOSTS}> may start a session"),
        ({"quiet_channels": (CHANNEL,)}, "no sessions in this channel"),
        ({"quiet_channels": (CATEGORY,)}, "no sessions in this channel"),
    ],
)
async def test_hosting_may_need_a_role_and_another_channel(policy, guilds, settings, reason):
    await configure(guilds, **settings)
    with pytest.raises(PolicyDenied, match=reason):
        await require_host(policy, ADULT)
    await require_participant(policy, ADULT)
    with_role = replace(ADULT, context=replace(CONTEXT, role_ids=frozenset({HOSTS})))
    if "host_roles" in settings:
        await require_host(policy, with_role)


async def test_where_drawing_is_not_allowed_there_are_no_sessions(policy, guilds):
    await configure(guilds, channels=(99,))
    with pytest.raises(PolicyDenied, match="I do not draw in this channel"):
        await require_participant(policy, ADULT)


async def test_a_blocked_person_can_do_nothing(policy, guilds):
    entry = AuditEntry(guild_id=GUILD, person_id=9, act="block", details="x", at=1.0)
    await guilds.block(entry, Block(guild_id=GUILD, person_id=ADA, reason="spam", until=None, by_id=9, at=1.0))
    with pytest.raises(PolicyDenied, match="blocked you"):
        await require_participant(policy, ADULT)


def test_a_private_picture_cannot_enter_a_session():
    job = make_job()
    require_public(job)
    with pytest.raises(PolicyDenied, match="private"):
        require_public(replace(job, destination=replace(job.destination, private=True)))
