"""Give threads other names than those that quote people whose data is erased."""

from __future__ import annotations

from contextlib import suppress

import discord

NEAREST_MESSAGES = 50  # to a thread's start, in which the message about it is looked for


async def rename_own_thread(client: discord.Client, thread_id: int, name: str) -> None:
    """Rename a thread that the bot has started; leave all other channels as they are, and what Discord refuses.

    Raises an error of Discord.
    """
    with suppress(discord.NotFound, discord.Forbidden):
        thread = client.get_channel(thread_id) or await client.fetch_channel(thread_id)
        if not isinstance(thread, discord.Thread) or thread.owner_id != _own_id(client) or thread.name == name:
            return
        await _delete_start(thread)
        was_archived = thread.archived
        await thread.edit(name=name, archived=False)  # Discord renames no archived thread
        if was_archived:
            await thread.edit(archived=True)


async def _delete_start(thread: discord.Thread) -> None:
    """Delete the message that tells in the channel that the thread was started, with its first name."""
    if not isinstance(thread.parent, discord.TextChannel):
        return
    with suppress(discord.NotFound, discord.Forbidden):
        async for message in thread.parent.history(limit=NEAREST_MESSAGES, around=thread):
            about = message.reference.channel_id if message.reference else None
            if message.type is discord.MessageType.thread_created and about == thread.id:
                await message.delete()


def _own_id(client: discord.Client) -> int:
    assert client.user is not None, "only used once logged in"
    return client.user.id
