"""A simulated user, who uses commands, buttons, selects and modals, and sends, edits and deletes messages."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from preview.api.interactions import REPLY, message_reference
from preview.api.message_builder import store_attachment
from preview.state import payloads, permissions
from preview.state.core import FakeDiscordState
from preview.state.errors import ApiError
from preview.state.event_bus import StateEvent
from preview.state.files import UploadedFile
from preview.state.interactions import AUTOCOMPLETE, COMMAND, COMPONENT, MODAL_SUBMIT, Interaction
from preview.state.world import Channel, Json, Message, User, button_label, walk_components
from preview.users import options
from preview.users.modals import fill_modal
from preview.users.options import ResolvedData, UserActionError
from preview.validation.components import LINK, PREMIUM, SELECTS, STRING_SELECT

IN_GUILD, BOT_DM, PRIVATE_CHANNEL = 0, 1, 2
CHAT_INPUT, USER_MENU, MESSAGE_MENU = 1, 2, 3


class SimulatedUser:
    """Act as a user. An action that Discord's client would not allow raises UserActionError."""

    def __init__(self, core: FakeDiscordState, user: User) -> None:
        self._core = core
        self.user = user

    # --- commands

    def commands(self, channel: Channel, kind: int = CHAT_INPUT) -> list[Json]:
        """Return the commands of a kind (1 slash, 2 user menu, 3 message menu) available in a channel."""
        return [
            each
            for each in self._core.world.commands.values()
            if each["type"] == kind and self._is_available(each, channel)
        ]

    async def command(self, name: str, channel: Channel, /, **given: Any) -> Interaction:
        """Use a slash command. A subcommand is named `"group sub"`; options are keyword arguments."""
        command, path, declared = self._find_command(name, channel)
        resolved = self._new_resolved(channel)
        values = options.option_values(declared, given, resolved)
        return self._create_interaction(
            COMMAND, channel, self._command_data(command, path, values, resolved), name=name, command=command
        )

    async def autocomplete(
        self, name: str, channel: Channel, option: str, typed: str = "", /, **given: Any
    ) -> list[Json]:
        """Type into an option and return the choices that the bot offers."""
        command, path, declared = self._find_command(name, channel)
        found = next((each for each in declared if each["name"] == option), None)
        if found is None or not found.get("autocomplete"):
            raise UserActionError(f"/{name} has no option {option!r} with autocompletion")
        resolved = self._new_resolved(channel)
        values = options.option_values(declared, given, resolved, partial=True)
        values.append({"name": option, "type": found["type"], "value": typed, "focused": True})
        data = self._command_data(command, path, values, resolved)
        interaction = self._create_interaction(AUTOCOMPLETE, channel, data, name=name, command=command)
        response = await interaction.response()
        return list(response.data.get("choices") or [])

    async def context_menu(self, name: str, target: Message | User, channel: Channel | None = None) -> Interaction:
        """Use a command from the context menu of a message or a user."""
        kind = MESSAGE_MENU if isinstance(target, Message) else USER_MENU
        target_channel = channel or self._channel_for(target)
        command = next((each for each in self.commands(target_channel, kind) if each["name"] == name), None)
        if command is None:
            raise UserActionError(f"there is no {name!r} in this menu")
        resolved = self._new_resolved(target_channel)
        if isinstance(target, Message):
            self._require_visible(target)
            resolved.message(target)
        else:
            resolved.user(target)
        data = self._command_data(command, [], [], resolved) | {"target_id": str(target.id)}
        return self._create_interaction(COMMAND, target_channel, data, name=name, command=command)

    # --- components

    async def press(self, message: Message, label: str | None = None, *, custom_id: str | None = None) -> Interaction:
        """Press a button, identified by its label or its custom id."""
        button = self._button(message, label, custom_id)
        data = {"component_type": 2, "custom_id": button["custom_id"], "id": button["id"]}
        return self._create_interaction(COMPONENT, self._channel_for(message), data, target=message)

    async def select(
        self, message: Message, *chosen: str | User | Channel | Any, custom_id: str | None = None
    ) -> Interaction:
        """Choose labels, values or objects in a select of the message: the first, or that of `custom_id`."""
        self._require_visible(message)
        menus = [part for part in walk_components(message.components) if part["type"] in SELECTS]
        menu = next((part for part in menus if custom_id in (None, part["custom_id"])), None)
        if menu is None or menu.get("disabled"):
            raise UserActionError(f"no select to use: {[part['custom_id'] for part in menus]}")
        channel = self._channel_for(message)
        resolved = self._new_resolved(channel)
        values = options.select_values(menu, chosen, resolved)
        data: Json = {
            "component_type": menu["type"],
            "custom_id": menu["custom_id"],
            "id": menu["id"],
            "values": values,
        }
        if menu["type"] != STRING_SELECT:
            data["resolved"] = resolved.data
        return self._create_interaction(COMPONENT, channel, data, target=message)

    async def submit_modal(
        self, interaction: Interaction, values: Mapping[str, Any] | None = None, /, **more: Any
    ) -> Interaction:
        """Fill in and submit the modal that answered an interaction; keys are custom ids or labels."""
        modal = await interaction.modal()
        resolved = self._new_resolved(interaction.channel)
        components = fill_modal(modal, {**(values or {}), **more}, resolved)
        data: Json = {"custom_id": modal["custom_id"], "components": components} | resolved.as_field()
        return self._create_interaction(
            MODAL_SUBMIT,
            interaction.channel,
            data,
            target=interaction.target,
            parent=interaction,
            name=interaction.name,
        )

    def _button(self, message: Message, label: str | None, custom_id: str | None) -> Json:
        self._require_visible(message)
        for button in message.buttons:
            names = (button_label(button), button.get("label"), (button.get("emoji") or {}).get("name"))
            if custom_id == button.get("custom_id") if custom_id else label in names:
                break
        else:
            raise UserActionError(f"no button {label or custom_id!r} among {message.labels}")
        if button.get("disabled"):
            raise UserActionError(f"the button {button_label(button)!r} is disabled")
        if button["style"] in (LINK, PREMIUM):
            raise UserActionError(f"the button {button_label(button)!r} does not reach the bot")
        return button

    # --- messages

    def can_write(self, channel: Channel) -> bool:
        """Return whether the user may send messages in a channel or thread."""
        needed = permissions.SEND_MESSAGES_IN_THREADS if channel.is_thread else permissions.SEND_MESSAGES
        return bool(self._core.world.permissions(self.user, channel) & needed) and not channel.locked

    async def send(
        self, channel: Channel, content: str = "", *files: UploadedFile, reply_to: Message | None = None
    ) -> Message:
        """Send a message."""
        core = self._core
        if not self.can_write(channel):
            raise UserActionError("you cannot write here")
        message = Message(core.world.new_id(), channel.id, self.user.id, core.clock.time(), content=content)
        message.attachments = [store_attachment(core, each, channel.id) for each in files]
        if reply_to:
            message.type, message.reference = REPLY, message_reference(core, reply_to)
        core.update_mentions(message, None)
        core.add_message(message)
        return message

    async def edit(self, message: Message, content: str) -> None:
        """Edit an own message."""
        if message.author_id != self.user.id:
            raise UserActionError("this is someone else's message")
        message.content = content
        self._core.update_mentions(message, None)
        self._core.update_message(message)

    async def delete(self, message: Message) -> None:
        """Delete a message, or dismiss one that only this user sees."""
        self._require_visible(message)
        rights = self._core.world.permissions(self.user, self._channel_for(message))
        mine = self.user.id in (message.author_id, message.visible_to)
        if not (mine or rights & permissions.MANAGE_MESSAGES):
            raise UserActionError("you cannot delete this message")
        self._core.delete_message(message)

    async def react(self, message: Message, emoji: str) -> None:
        """Add a reaction."""
        self._require_visible(message)
        if message.ephemeral:
            raise UserActionError("you cannot react to a message that only you can see")
        try:
            self._core.react(message, emoji, self.user.id, add=True)
        except ApiError as error:
            raise UserActionError(str(error.body()["message"])) from None

    async def unreact(self, message: Message, emoji: str) -> None:
        """Remove an own reaction."""
        self._core.react(message, emoji, self.user.id, add=False)

    async def start_typing(self, channel: Channel) -> None:
        """Start typing in a channel."""
        if not self.can_write(channel):
            raise UserActionError("you cannot write here")
        self._core.start_typing(channel, self.user.id)

    def visible_messages(self, channel: Channel) -> list[Message]:
        """Return the messages that the user sees in a channel, oldest first."""
        world = self._core.world
        found = [each for each in world.channel_messages(channel) if world.can_see(self.user, each)]
        return sorted(found, key=lambda each: each.id)

    # --- creating an interaction

    def _find_command(self, name: str, channel: Channel) -> tuple[Json, list[Json], list[Json]]:
        """Return a slash command, the path to its subcommand, and the declared options."""
        first, *rest = name.split(" ")
        offered = self.commands(channel)
        command = next((each for each in offered if each["name"] == first), None)
        if command is None:
            raise UserActionError(f"/{first} is not among {sorted(each['name'] for each in offered)}")
        path, declared = [], command.get("options") or []
        for part in rest:
            step = next((each for each in declared if each["name"] == part and each["type"] in (1, 2)), None)
            if step is None:
                raise UserActionError(f"/{name} does not exist")
            path.append(step)
            declared = step.get("options") or []
        if any(each["type"] in (1, 2) for each in declared):
            raise UserActionError(f"/{name} needs one of {[each['name'] for each in declared]}")
        return command, path, declared

    def _command_data(self, command: Json, path: list[Json], values: list[Json], resolved: ResolvedData) -> Json:
        for step in reversed(path):
            values = [{"name": step["name"], "type": step["type"], "options": values}]
        data: Json = {"id": command["id"], "name": command["name"], "type": command["type"]} | resolved.as_field()
        if command["type"] == CHAT_INPUT:
            data["options"] = values
        return data | ({"guild_id": command["guild_id"]} if command.get("guild_id") else {})

    def _is_available(self, command: Json, channel: Channel) -> bool:
        """Return whether Discord lists a command for this user in a channel: none where they cannot write."""
        if command.get("guild_id") not in (None, str(channel.guild_id)):
            return False
        rights = self._core.world.permissions(self.user, channel)
        if not (rights & permissions.USE_APPLICATION_COMMANDS and self.can_write(channel)) or (
            command.get("nsfw") and not channel.nsfw
        ):
            return False
        contexts = command.get("contexts")
        if contexts is not None and self._context(channel) not in contexts:
            return False
        owners = self._integration_owners(channel, command)
        return bool(owners) and ("0" not in owners or self._has_default_permissions(command, channel, rights))

    def _has_default_permissions(self, command: Json, channel: Channel, rights: int) -> bool:
        needed = command.get("default_member_permissions")
        if needed is None or channel.guild_id is None or rights & permissions.ADMINISTRATOR:
            return True
        return int(needed) != 0 and int(needed) & rights == int(needed)

    def _context(self, channel: Channel) -> int:
        if channel.guild_id is not None:
            return IN_GUILD
        return BOT_DM if self._core.world.bot.id in channel.recipient_ids else PRIVATE_CHANNEL

    def _integration_owners(self, channel: Channel, command: Json | None) -> Json:
        """Return whose installation authorises an interaction: the guild's ("0"), the user's ("1"), or both."""
        world, types = self._core.world, (command or {}).get("integration_types") or [0]
        guild, context = world.channel_guild(channel), self._context(channel)
        owners: Json = {}
        if guild and world.bot.id in guild.members and 0 in types:
            owners["0"] = str(guild.id)
        elif context == BOT_DM and 0 in types:
            owners["0"] = "0"
        if self.user.installed and 1 in types:
            owners["1"] = str(self.user.id)
        return owners

    def _component_owners(self, channel: Channel, target: Message) -> Json:
        """Return the installation that authorises a component: the guild's, or the message's."""
        world, guild = self._core.world, self._core.world.channel_guild(channel)
        if guild and world.bot.id in guild.members:
            return {"0": str(guild.id)}
        stored = (target.interaction or {}).get("metadata") or {}
        return dict(stored.get("authorizing_integration_owners") or {"0": "0"})

    def _create_interaction(
        self,
        kind: int,
        channel: Channel,
        data: Json,
        *,
        name: str = "",
        command: Json | None = None,
        target: Message | None = None,
        parent: Interaction | None = None,
    ) -> Interaction:
        """Send an interaction to the bot and start its 3 seconds to respond."""
        core = self._core
        guild = core.world.channel_guild(channel)
        interaction = Interaction(
            core.world, core.event_bus, core.world.new_id(), kind, self.user, channel, data, core.clock.time()
        )
        interaction.name, interaction.target, interaction.parent = name, target, parent
        if parent:
            interaction.owners = parent.owners
        else:
            interaction.owners = (
                self._component_owners(channel, target) if target else self._integration_owners(channel, command)
            )
        interaction.context = self._context(channel)
        interaction.file_limit = max(self.user.file_limit, guild.file_limit if guild else 0)
        may_post = core.world.permissions(self.user, channel) & permissions.USE_EXTERNAL_APPS
        interaction.forced_ephemeral = interaction.is_user_install_only and guild is not None and not may_post
        core.add_interaction(interaction)
        core.event_bus.publish(StateEvent("interaction", interaction_id=interaction.id, channel_id=channel.id))
        asyncio.get_running_loop().call_later(core.response_timeout, self._fail_unanswered, interaction)
        core.send_event("INTERACTION_CREATE", payloads.interaction(core, interaction), guild_id=channel.guild_id)
        return interaction

    def _fail_unanswered(self, interaction: Interaction) -> None:
        if interaction.answer is None:
            interaction.failed = True
            self._core.event_bus.publish(
                StateEvent(
                    "interaction", interaction_id=interaction.id, channel_id=interaction.channel.id, detail="failed"
                )
            )

    def _new_resolved(self, channel: Channel) -> ResolvedData:
        return ResolvedData(self._core, self.user, channel)

    def _channel_for(self, target: Message | User) -> Channel:
        if isinstance(target, User):
            raise UserActionError("a user's menu needs a channel")
        return self._core.world.channels[target.channel_id]

    def _require_visible(self, message: Message) -> None:
        if message.deleted or not self._core.world.can_see(self.user, message):
            raise UserActionError("you cannot see this message")
