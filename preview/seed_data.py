"""The users, servers and channels of a new preview."""

from __future__ import annotations

from preview.state import permissions
from preview.state.clock import Clock
from preview.state.world import Guild, User, World

USER_NOTES = {
    "mira": "owner of Lantern Studio",
    "jonas": "member, reads German",
    "priya": "member, added the app to her account",
    "teo": "owner of another server",
}


def make_world(clock: Clock | None = None) -> World:
    """Build a server with an owner and two members, a second server, one without the bot, and direct messages."""
    world = World(clock)
    mira, jonas, priya, teo = _add_users(world)
    _set_application_owner(world, mira)
    studio = world.add_guild("Lantern Studio", mira, jonas, priya, owner=mira)
    _add_channels(world, studio, "Draw here", ("gallery", "sketches"))
    read_only = world.add_channel(studio, "read-only", everyone_denied=permissions.SEND_MESSAGES)
    read_only.topic = "Members can read here but not write"
    _add_channels(
        world, world.add_guild("Harbour Prints", teo, owner=teo), "Another server with the same bot", ("prints",)
    )
    book_club = world.add_guild("Book Club", priya, jonas, owner=priya, bot=False)
    _add_channels(
        world,
        book_club,
        "The bot is not a member here: only Priya, who added the app to her account, can use it",
        ("chat",),
    )
    for user in (mira, jonas, priya, teo):
        world.dm_channel(user)
    return world


def _add_users(world: World) -> tuple[User, User, User, User]:
    return (
        world.add_user("mira", display_name="Mira"),
        world.add_user("jonas", display_name="Jonas", locale="de"),
        world.add_user("priya", display_name="Priya", installed=True),
        world.add_user("teo", display_name="Teo"),
    )


def _set_application_owner(world: World, owner: User) -> None:
    del world.users[world.application.owner_id]
    world.application.owner_id = owner.id


def _add_channels(world: World, guild: Guild, topic: str, names: tuple[str, ...]) -> None:
    for name in names:
        world.add_channel(guild, name).topic = topic
