"""Policy decisions, on a real SQLite file with real jobs."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from bot.policy.allowlist import denial_message
from bot.policy.policy import DAY_S, JobRequest, Policy, PolicyDenied, RequestContext
from bot.policy.settings import GuildSettings, RoleLimits, to_dict
from db.connection import Connection
from db.guilds import AuditEntry, Block, GuildStore
from db.jobs import JobStore
from db.usage import USAGE_TOTALS, Usage
from generation.errors import UserError
from generation.job import Action, Requester, Speed, new_job_id
from generation.models.model import Model
from generation.models.registry import ModelRegistry
from generation.prompt import PromptError, parse_params
from tests.support.jobs import make_job
from tests.support.languages import run_in

GUILD, CHANNEL, CATEGORY, ADA, PATRONS = 1, 2, 3, 11, 21
MODEL = Model(name="painter", ref="painter")
REGISTRY = ModelRegistry((MODEL,))
NOW = 1_000_000.0


class PolicyHarness:
    """A policy on its own database, with helpers to configure it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.now = NOW
        self.guilds = GuildStore(connection, lambda: self.now)
        self.store = JobStore(connection, lambda: self.now)
        self.allowed: set[int] = set()
        self.policy = Policy(
            self.guilds, Usage(connection), lambda: self.now, lambda guild_id: denial_message(self.allowed, guild_id)
        )

    async def set(self, **settings) -> None:
        version = (await self.guilds.settings(GUILD)).version
        assert await self.guilds.set_settings(audit_entry(), to_dict(GuildSettings(**settings)), version)

    async def add_job(
        self, *, ago: float = 0.0, seconds: float = 10.0, action=Action.IMAGINE, guild: int = GUILD
    ) -> str:
        job = make_job(id=new_job_id(), action=action, asked_at=NOW - ago, requester=Requester(ADA, "ada"))
        job = replace(job, destination=replace(job.destination, guild_id=guild))
        await self.store.add_job(job)
        await self.store.mark_running(job.id)
        await self.store.mark_generated(job.id, "webp", seconds)
        return job.id

    async def authorize(self, prompt: str = "a fox", *, roles=(), channel_ids=(CHANNEL,), guild=GUILD, **changes):
        context = RequestContext(
            guild_id=guild, channel_ids=frozenset(channel_ids), person_id=ADA, role_ids=frozenset(roles)
        )
        request = {"action": Action.IMAGINE, "params": parse_params(prompt, REGISTRY)} | changes
        return await self.policy.authorize(context, JobRequest(**request))


def audit_entry() -> AuditEntry:
    return AuditEntry(guild_id=GUILD, person_id=99, act="settings", details="", at=NOW)


def block(until: float | None = None) -> Block:
    return Block(guild_id=GUILD, person_id=ADA, reason="spam", until=until, by_id=99, at=NOW)


@pytest.fixture
async def harness(tmp_path, make_database):
    async with Connection.open(make_database(tmp_path / "atelier.sqlite3")) as connection:
        yield PolicyHarness(connection)


async def test_a_guild_without_settings_allows_everything(harness):
    grant = await harness.authorize(
        action=Action.UPSCALE_CREATIVE_4, private=True, repeated=True, permuted=True, jobs=10
    )
    assert (grant.settings, grant.limits, grant.speed, grant.warning) == (
        GuildSettings(),
        RoleLimits(),
        Speed.FAST,
        None,
    )


async def test_a_guild_allows_only_its_models_but_existing_tiles_can_be_picked(harness):
    await harness.set(models=("Engraver", "painter"))
    assert await harness.authorize()
    await harness.set(models=("Engraver",))
    with pytest.raises(PolicyDenied, match="allow Engraver only, not painter"):
        await harness.authorize()
    assert await harness.authorize(action=Action.PICK)


async def test_a_guild_that_is_not_on_the_allowlist_is_refused(harness):
    harness.allowed = {7}
    with pytest.raises(PolicyDenied, match="not open to this server"):
        await harness.authorize()
    await harness.authorize(guild=None)


async def test_rules_of_a_guild_do_not_apply_in_direct_messages(harness):
    await harness.guilds.block(audit_entry(), block())
    await harness.guilds.block_words(audit_entry(), {"fox": "refuse"})
    await harness.authorize(guild=None)


async def test_a_refusal_in_another_channel_names_the_allowed_ones(harness):
    await harness.set(channels=(CATEGORY, 77))
    with pytest.raises(PolicyDenied, match="Go to <#3>, <#77>"):
        await harness.authorize()
    await harness.authorize(channel_ids=(CHANNEL, CATEGORY))  # a channel in the category
    await harness.authorize(channel_ids=(500, 77))  # a thread in the channel


async def test_private_images_can_be_turned_off(harness):
    await harness.set(stealth=False)
    await harness.authorize()
    with pytest.raises(PolicyDenied, match="--stealth"):
        await harness.authorize(private=True)


@pytest.mark.parametrize(
    ("setting", "request_changes"),
    [
        ("upscale_roles", {"action": Action.UPSCALE_CREATIVE_4}),
        ("repeat_roles", {"repeated": True}),
        ("permutation_roles", {"permuted": True}),
        ("fast_roles", {"speed": Speed.TURBO, "speed_is_explicit": True}),
        ("fast_roles", {"speed": Speed.FAST, "speed_is_explicit": True}),
    ],
)
async def test_a_role_feature_is_refused_to_others_naming_the_role(harness, setting, request_changes):
    await harness.set(**{setting: (PATRONS,)})
    with pytest.raises(PolicyDenied, match=f"Only <@&{PATRONS}> may"):
        await harness.authorize(**request_changes)
    await harness.authorize(**request_changes, roles=(PATRONS,))
    await harness.authorize()


async def test_without_fast_mode_an_implicit_speed_becomes_relaxed(harness):
    await harness.set(fast_roles=(PATRONS,))
    assert (await harness.authorize()).speed is Speed.RELAX
    assert (await harness.authorize(roles=(PATRONS,))).speed is Speed.FAST


async def test_the_number_of_jobs_per_prompt_is_limited(harness):
    await harness.set(permutations=4)
    await harness.authorize(jobs=4)
    with pytest.raises(PolicyDenied, match="makes 5 jobs, but only 4"):
        await harness.authorize(jobs=5)


async def test_size_and_steps_are_limited_by_role(harness):
    await harness.set(bounds={GUILD: RoleLimits(longest_side=600, steps=30), PATRONS: RoleLimits(longest_side=2000)})
    await harness.authorize()
    for prompt, message in (
        ("a fox --ar 3:1", "pixels, and your limit here is 600"),
        ("a fox --steps 31", "31 steps, and your limit here is 30"),
    ):
        with pytest.raises(PolicyDenied, match=message):
            await harness.authorize(prompt)
    await harness.authorize("a fox --ar 3:1", roles=(PATRONS,))


async def test_jobs_of_the_last_24_hours_are_counted(harness):
    await harness.set(bounds={GUILD: RoleLimits(jobs_a_day=2)})
    await harness.add_job(ago=DAY_S + 1)
    await harness.add_job(ago=60, guild=7)
    await harness.add_job(ago=60, action=Action.PICK)
    cancelled = await harness.add_job(ago=60)
    await harness.store.mark_failed(cancelled, "Out of paint.")
    await harness.add_job(ago=60)
    await harness.authorize()
    with pytest.raises(PolicyDenied, match=r"2 jobs in 24 hours, and you have used 1\. This request adds 2 more"):
        await harness.authorize(jobs=2)
    await harness.add_job(ago=30)
    with pytest.raises(PolicyDenied, match="2 jobs in 24 hours, and you have used 2"):
        await harness.authorize()
    await harness.authorize(action=Action.PICK)


async def test_cancelling_a_running_job_does_not_bypass_a_limit(harness):
    await harness.set(bounds={GUILD: RoleLimits(jobs_a_day=1, gpu_seconds_a_day=8)})
    waiting, drawing = (make_job(id=new_job_id(), asked_at=NOW, requester=Requester(ADA, "ada")) for _ in range(2))
    await harness.store.add_job(replace(waiting, destination=replace(waiting.destination, guild_id=GUILD)))
    await harness.store.cancel(waiting.id, "Cancelled.")
    await harness.authorize()
    await harness.store.add_job(replace(drawing, destination=replace(drawing.destination, guild_id=GUILD)))
    await harness.store.mark_running(drawing.id)
    harness.now += 7.5  # as long as many steps
    await harness.store.cancel(drawing.id, "Cancelled.")
    with pytest.raises(PolicyDenied, match="1 job in 24 hours, and you have used 1"):
        await harness.authorize()
    assert (await harness.policy.usage(RequestContext(guild_id=GUILD, channel_ids=frozenset(), person_id=ADA)))[
        0
    ].seconds == 7.5


async def test_drawing_time_of_the_last_24_hours_is_counted(harness):
    await harness.set(bounds={GUILD: RoleLimits(gpu_seconds_a_day=30)})
    await harness.add_job(ago=60, seconds=29.5)
    await harness.authorize()
    await harness.add_job(ago=60, seconds=0.5)
    with pytest.raises(PolicyDenied, match="30 seconds of drawing time in 24 hours, and you have used 30"):
        await harness.authorize()


async def test_a_cooldown_names_the_remaining_seconds(harness):
    await harness.set(bounds={GUILD: RoleLimits(cooldown=60)})
    await harness.authorize()
    await harness.add_job(ago=15)
    with pytest.raises(PolicyDenied, match="wait 46 seconds"):
        await harness.authorize()
    harness.now += 45
    await harness.authorize()


@pytest.mark.parametrize(
    ("limits", "changes", "expected"),
    [
        (
            RoleLimits(jobs_a_day=1),
            {"jobs": 3},
            "1 Auftrag in 24 Stunden. Davon hast du 1 verbraucht. Dazu kämen jetzt 3.",
        ),
        (RoleLimits(gpu_seconds_a_day=1), {}, "1 Sekunde in 24 Stunden. Davon hast du 10 verbraucht."),
        (RoleLimits(cooldown=60), {}, "Bitte warte 61 Sekunden"),
    ],
)
async def test_limits_are_named_in_the_language_of_the_server(harness, limits, changes, expected):
    await harness.set(bounds={GUILD: limits})
    await harness.add_job()
    with pytest.raises(PolicyDenied) as refused:
        await run_in("de", asyncio.create_task, harness.authorize(**changes))
    assert expected in str(refused.value)


async def test_a_block_shows_its_reason_without_links(harness):
    await harness.guilds.block(audit_entry(), replace(block(), reason="reported: [the rules](https://evil.example)"))
    with pytest.raises(PolicyDenied) as denied:
        await harness.authorize()
    assert "[the rules](" not in str(denied.value)
    assert "the rules" in str(denied.value)


async def test_a_blocked_person_reads_the_reason_and_the_end(harness):
    await harness.guilds.block(audit_entry(), block(until=NOW + 60))
    with pytest.raises(
        PolicyDenied, match=f"blocked you from using me in this server until <t:{int(NOW) + 60}:f>: spam"
    ):
        await harness.authorize()
    harness.now += 61
    await harness.authorize()


async def test_a_blocked_word_applies_as_soon_as_it_is_set(harness):
    await harness.authorize()
    await harness.guilds.block_words(audit_entry(), {"fox": "refuse"})
    with pytest.raises(PromptError, match="`fox`"):
        await harness.authorize()
    await harness.guilds.block_words(audit_entry(), {"fox": "warn"})
    assert "`fox`" in (await harness.authorize()).warning
    await harness.guilds.unblock_words(audit_entry(), ["fox"])
    assert (await harness.authorize()).warning is None


async def test_ten_simultaneous_presses_do_not_exceed_a_limit(harness):
    await harness.set(bounds={GUILD: RoleLimits(jobs_a_day=3)})
    context = RequestContext(guild_id=GUILD, channel_ids=frozenset({CHANNEL}), person_id=ADA)

    async def press() -> None:
        async with harness.policy.authorized(
            context, JobRequest(action=Action.REROLL, params=parse_params("a fox", REGISTRY))
        ):
            await harness.add_job()

    results = await asyncio.gather(*(press() for _ in range(10)), return_exceptions=True)
    assert [type(result) for result in results].count(PolicyDenied) == 7


async def test_a_job_that_has_waited_is_checked_again(harness):
    job = make_job(requester=Requester(ADA, "ada"))
    await harness.policy.reauthorize(job)
    await harness.guilds.block_words(audit_entry(), {"fox": "refuse"})
    with pytest.raises(UserError, match="`fox`"):
        await harness.policy.reauthorize(job)
    await harness.guilds.unblock_words(audit_entry(), ["fox"])
    await harness.guilds.block(audit_entry(), block())
    with pytest.raises(
        PolicyDenied, match=r"blocked you from using me in this server\.$"
    ):  # the reason is not for others
        await harness.policy.reauthorize(job)
    harness.allowed = {7}
    with pytest.raises(PolicyDenied, match="not open"):
        await harness.policy.reauthorize(job)


async def test_usage_is_queried_by_index(harness):
    rows = await harness.connection.fetch_all(
        f"EXPLAIN QUERY PLAN {USAGE_TOTALS}", {"person": ADA, "guild": GUILD, "since": 0.0}
    )
    plan = [row["detail"] for row in rows if row["detail"].startswith("SEARCH")]
    assert plan == [
        "SEARCH jobs USING INDEX jobs_of_asker (asker_id=? AND asked_at>?)",
        "SEARCH tallies USING INDEX tallies_of_person (person_id=? AND asked_at>?)",
    ]
