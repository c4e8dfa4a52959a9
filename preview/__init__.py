"""A loopback stand-in for Discord; imports nothing of the bot."""

from preview.api.server import StandIn
from preview.people.options import PersonError
from preview.people.person import Person
from preview.state.clock import Clock
from preview.state.files import Upload
from preview.state.interactions import Interaction, InteractionFailed
from preview.state.world import Channel, Guild, Message, User, World

__all__ = [
    "Channel",
    "Clock",
    "Guild",
    "Interaction",
    "InteractionFailed",
    "Message",
    "Person",
    "PersonError",
    "StandIn",
    "Upload",
    "User",
    "World",
]
