"""A loopback stand-in for Discord; imports nothing of the bot."""

from preview.clock import Clock
from preview.files import Upload
from preview.interactions import Interaction, InteractionFailed
from preview.options import PersonError
from preview.person import Person
from preview.server import StandIn
from preview.world import Channel, Guild, Message, User, World

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
