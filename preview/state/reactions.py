"""Reactions on a message."""

from preview.state.errors import ApiError
from preview.state.world import Message, Reaction

MAX_REACTIONS = 20


def set_reaction(message: Message, emoji: str, user_id: int, *, add: bool) -> bool:
    """Add or remove one user's reaction; return whether that changed anything."""
    found = next((each for each in message.reactions if each.emoji == emoji), None)
    if add:
        if found is None:
            if len(message.reactions) >= MAX_REACTIONS:
                raise ApiError(30010)
            found = Reaction(emoji)
            message.reactions.append(found)
        if user_id in found.user_ids:
            return False
        found.user_ids.append(user_id)
        return True
    if found is None or user_id not in found.user_ids:
        return False
    found.user_ids.remove(user_id)
    if not found.user_ids:
        message.reactions.remove(found)
    return True
