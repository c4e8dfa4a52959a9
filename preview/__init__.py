"""A loopback stand-in for Discord; imports nothing of the bot."""

from preview.api.server import FakeDiscord
from preview.people.options import UserActionError
from preview.people.person import SimulatedUser
from preview.state.clock import Clock
from preview.state.files import UploadedFile
from preview.state.interactions import Interaction, InteractionFailed
from preview.state.world import Channel, Guild, Message, User, World

__all__ = [
    "Channel",
    "Clock",
    "FakeDiscord",
    "Guild",
    "Interaction",
    "InteractionFailed",
    "Message",
    "SimulatedUser",
    "UploadedFile",
    "User",
    "UserActionError",
    "World",
]
