"""A fake Discord on loopback; imports nothing from the bot."""

from preview.server import FakeDiscord
from preview.state.clock import Clock
from preview.state.files import UploadedFile
from preview.state.interactions import Interaction, InteractionFailed
from preview.state.world import Channel, Guild, Message, User, World
from preview.users.options import UserActionError
from preview.users.simulated_user import SimulatedUser

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
