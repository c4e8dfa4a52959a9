"""The rules for collaborative sessions: who may start one, and who may take part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import discord

from bot.policy.context import context_from
from bot.policy.policy import Policy, PolicyDenied, RequestContext
from bot.policy.settings import GuildSettings
from bot.ui.i18n import tr, trn
from db.guilds import AuditEntry, GuildStore
from db.lineage import Credit
from db.together.sessions import Session
from generation.job import Job

DAY_S, HOUR_S = 86_400.0, 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Participant:
    """A member with the age of the account and of the membership, in seconds; None if Discord did not say."""

    context: RequestContext
    account_age: float
    member_age: float | None


def participant_from(interaction: discord.Interaction[Any], now: float) -> Participant:
    """Return who uses an interaction. No member intent is needed: each interaction says when its member joined."""
    person = interaction.user
    joined_at = person.joined_at if isinstance(person, discord.Member) else None
    return Participant(
        context=context_from(interaction),
        account_age=now - person.created_at.timestamp(),
        member_age=None if joined_at is None else now - joined_at.timestamp(),
    )


async def require_participant(policy: Policy, participant: Participant) -> GuildSettings:
    """Return the server's settings; raise PolicyDenied if somebody may not vote, suggest or host here."""
    context = participant.context
    if context.guild_id is None:
        raise PolicyDenied(tr("Pictures are made together in servers only."))
    settings = await policy.check_access(context)
    if participant.account_age < settings.min_account_days * DAY_S:
        raise PolicyDenied(
            trn(
                "To join in here, your Discord account must be at least {n} day old.",
                "To join in here, your Discord account must be at least {n} days old.",
                settings.min_account_days,
            )
        )
    if participant.member_age is None or participant.member_age < settings.min_member_hours * HOUR_S:
        raise PolicyDenied(
            trn(
                "To join in here, you must have been in this server for at least {n} hour.",
                "To join in here, you must have been in this server for at least {n} hours.",
                settings.min_member_hours,
            )
        )
    return settings


async def require_host(policy: Policy, participant: Participant) -> GuildSettings:
    """Return the server's settings; raise PolicyDenied if somebody may not start a session in this channel."""
    settings = await require_participant(policy, participant)
    context = participant.context
    if settings.host_roles and not context.role_ids.intersection(settings.host_roles):
        whom = ", ".join(f"<@&{role}>" for role in settings.host_roles[:5])
        raise PolicyDenied(tr("Only {whom} may start a session here.", whom=whom))
    if context.channel_ids.intersection(settings.quiet_channels):
        raise PolicyDenied(tr("The owners of this server want no sessions in this channel."))
    return settings


def require_cost(settings: GuildSettings, grids: int) -> None:
    """Raise PolicyDenied if a session would draw more grids than the server lets one session draw."""
    if grids > settings.session_cost:
        raise PolicyDenied(
            trn(
                "A session may draw at most {n} grid here, so choose fewer rounds.",
                "A session may draw at most {n} grids here, so choose fewer rounds.",
                settings.session_cost,
            )
        )


async def without_blocked(guilds: GuildStore, guild_id: int, given: Sequence[Credit]) -> list[Credit]:
    """Return credits in which people who are blocked by now are somebody without a name."""
    blocked = await guilds.blocked_among(guild_id, (each.person_id for each in given))
    return [replace(each, person_id=0) if each.person_id in blocked else each for each in given]


def require_public(job: Job) -> None:
    """Raise PolicyDenied for a private picture, which cannot enter a session."""
    if job.destination.private:
        raise PolicyDenied(tr("This picture is private, so nothing can be made from it together."))


def can_moderate_session(interaction: discord.Interaction[Any], session: Session) -> bool:
    """Return whether the user moderates the channel of a session, from where they press."""
    if interaction.guild_id != session.guild_id:
        return False
    if interaction.channel_id in (session.channel_id, session.thread_id):
        return interaction.permissions.manage_messages
    member = interaction.user
    return isinstance(member, discord.Member) and member.guild_permissions.manage_messages


async def log_session_moderation(guilds: GuildStore, session: Session, person_id: int, action: str, at: float) -> None:
    """Log in the audit what a moderator did to a session of somebody else; `at` is in Unix seconds."""
    if person_id != session.host_id:
        details = f"{action} in {session.kind} {session.id} of <@{session.host_id}>"
        entry = AuditEntry(guild_id=session.guild_id, person_id=person_id, act="moderation", details=details, at=at)
        await guilds.add_audit_entry(entry)
