"""Send and edit the messages of a job: through the channel, the interaction's token, or a direct message."""

from __future__ import annotations

import io
import logging
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import discord
from discord.abc import Messageable

from bot.discord_calls import (
    NO_MENTIONS,
    IsPosted,
    find_message,
    is_too_large,
    post_once,
    retry_until_available,
)
from bot.ui import job_text
from bot.ui.i18n import tr
from generation.errors import UserError
from generation.job import Job

log = logging.getLogger(__name__)

TOKEN_MARGIN_S = 30.0  # a token is not used in the last seconds before it expires
TOKEN_EXPIRED_CODES = (50027, 10015)  # Discord's codes: invalid token, unknown webhook
UNKNOWN_MESSAGE = 10008
_ORIGINAL_RESPONSE: Any = "@original"  # Discord accepts this in place of a message id


class ResultChannelGone(Exception):
    """Raised when the thread or gallery for a result cannot be used."""


class DeliveryFailed(UserError):
    """Raised when neither the channel nor the token nor a direct message can be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultMessage:
    """A result as it is posted: the text, one image, perhaps behind a spoiler, and the buttons.

    The `description` is the alternative text of the image. An `nsfw` image gets a spoiler in a direct message, even if
    the channel would show it without one. `pinged` are the people who are notified besides the requester. `inputs` are
    the pictures that it was made from, which an embed shows small.
    """

    content: str
    image: bytes
    filename: str
    view: discord.ui.View
    description: str
    spoiler: bool = False
    nsfw: bool = False
    pinged: tuple[int, ...] = ()
    inputs: Inputs | None = None

    def files(self) -> list[discord.File]:
        """Return the images as new files, because discord.py can send a file only once."""
        image = discord.File(io.BytesIO(self.image), self.filename, spoiler=self.spoiler, description=self.description)
        return [image, self.inputs.file()] if self.inputs else [image]

    def embeds(self) -> list[discord.Embed]:
        """Return the embed with the inputs, if there are any."""
        return [self.inputs.embed()] if self.inputs else []


class _Embed(discord.Embed):
    """An embed without the flags that discord.py sends along, which Discord's specification does not have."""

    def to_dict(self) -> Any:
        return {key: value for key, value in super().to_dict().items() if key != "flags"}


@dataclass(frozen=True, slots=True)
class Inputs:
    """The pictures that a result was made from, as one JPEG; `title` is shown above, `description` read aloud."""

    image: bytes
    filename: str
    title: str
    description: str

    def file(self) -> discord.File:
        """Return the picture as a new file."""
        return discord.File(io.BytesIO(self.image), self.filename, description=self.description)

    def embed(self) -> discord.Embed:
        """Return the embed that shows the file."""
        return _Embed(description=f"-# {self.title}").set_image(url=f"attachment://{self.filename}")


class Delivery:
    """Post results and edit status messages through the first way that works."""

    def __init__(self, client: discord.Client, clock: Callable[[], float]) -> None:
        self._client = client
        self._clock = clock

    def token_is_valid(self, job: Job) -> bool:
        """Return whether the interaction's token can still be used."""
        return self._clock() < job.destination.token_expires_at - TOKEN_MARGIN_S

    async def edit_status_message(self, job: Job, status_message_id: int, **changes: Any) -> None:
        """Edit the job's status message; raise discord.HTTPException if no way works."""
        await self._by_token_or_channel(
            job,
            lambda: self._webhook(job).edit_message(status_message_id, allowed_mentions=NO_MENTIONS, **changes),
            lambda: self._partial_message(job, status_message_id).edit(allowed_mentions=NO_MENTIONS, **changes),
        )

    async def highlight_button(self, parent: Job, message: discord.Message, view: discord.ui.View) -> None:
        """Show in a result of `parent` which button was pressed, if that is possible without a response."""
        if not message.flags.ephemeral and parent.destination.by_channel:
            channel = self._client.get_partial_messageable(message.channel.id, guild_id=parent.destination.guild_id)
            await channel.get_partial_message(message.id).edit(view=view)
        elif self.token_is_valid(parent):
            await self._webhook(parent).edit_message(message.id, view=view)

    async def delete_message(self, job: Job, message_id: int) -> bool:
        """Delete a message of the job; return False if it does not exist any more, or is out of reach."""
        return await _delete(
            job,
            lambda: self._by_token_or_channel(
                job,
                lambda: self._webhook(job).delete_message(message_id),
                lambda: self._partial_message(job, message_id).delete(),
            ),
        )

    async def delete_result(self, job: Job, result_message_id: int) -> None:
        """Delete the job's result message, wherever it was posted."""
        if job.destination.by_channel or job.destination.post_in is not None:
            is_deleted = await _delete(
                job, lambda: self._result_channel(job).get_partial_message(result_message_id).delete()
            )
        else:
            is_deleted = await self.delete_message(job, result_message_id)
        if not is_deleted and not (job.destination.by_channel and job.destination.guild_id is None):
            await _delete(job, lambda: self._delete_dm(job, result_message_id))

    async def fetch_result(self, job: Job, message_id: int) -> discord.Message:
        """Return a job's result message, wherever it was posted; raise discord.HTTPException if it is out of reach."""
        ways: list[Callable[[], Awaitable[discord.Message]]] = []
        if job.destination.by_channel or job.destination.post_in is not None:
            ways.append(lambda: self._result_channel(job).fetch_message(message_id))
        if self.token_is_valid(job):
            ways.append(lambda: self._webhook(job).fetch_message(message_id))
        for fetch in ways:
            with suppress(discord.HTTPException):
                return await retry_until_available(fetch)
        channel = await self._dm_channel(job)
        return await retry_until_available(lambda: channel.fetch_message(message_id))

    async def report_end(
        self, job: Job, status_message_id: int, text: str, prompt: str = "", view: discord.ui.View | None = None
    ) -> None:
        """Edit the status message of a job that ended without a result, or send a direct message instead.

        A `prompt` that does not fit into the text is attached as a file. `view` holds the buttons that remain.
        """

        def files() -> list[discord.File]:
            return (
                [discord.File(io.BytesIO(prompt.encode()), "prompt.txt", description=tr("The whole prompt"))]
                if prompt
                else []
            )

        try:
            await retry_until_available(
                lambda: self.edit_status_message(
                    job, status_message_id, content=text, attachments=files(), embeds=[], view=view
                )
            )
        except discord.HTTPException as error:
            log.info("job %s: could not edit the status message at its end: %s", job.id, error)
            if error.code != UNKNOWN_MESSAGE:  # a deleted status message is not replaced
                await self._report_by_dm(job, text, files, view)

    async def report_end_privately(self, job: Job, text: str) -> None:
        """Report the end of a job without a result or a status message, to the requester only."""
        try:
            if self.token_is_valid(job):
                await retry_until_available(lambda: self._webhook(job).send(text, ephemeral=True, wait=True))
                return
        except discord.HTTPException as error:
            log.info("job %s: the token cannot be used: %s", job.id, error)
        await self._report_by_dm(job, text)

    async def find_status_message(self, job: Job) -> int | None:
        """Return the id of a status message that Discord has, although the bot never learned its id."""
        found = await self._find_first_response(job)
        if found is None and job.destination.by_channel:
            found = await self._find(self._channel(job), job, _has_cancel_button)
        return found

    async def _find_first_response(self, job: Job) -> int | None:
        """Return the id of the first response, unless it is the pressed message or a question before the job."""
        if not self.token_is_valid(job):
            return None
        try:
            message = await retry_until_available(lambda: self._webhook(job).fetch_message(_ORIGINAL_RESPONSE))
        except discord.HTTPException:
            return None
        is_own = message.flags.loading or _has_cancel_button(job, message) or is_result_message(job, message)
        return message.id if is_own else None

    async def post(self, job: Job, status_message_id: int | None, result: ResultMessage) -> int:
        """Post the result, mention the requester, and return the message's id.

        If the bot can post in the channel, the result is a new message. Its nonce is the job's id, so that Discord
        drops a second one. Otherwise the status message becomes the result. Raises DeliveryFailed, ResultChannelGone,
        or discord.HTTPException with code 40005 if the image is too large.
        """
        for send in (self._post_by_channel, self._post_by_token, self._post_by_dm):
            try:
                message_id = await send(job, status_message_id, result)
            except discord.HTTPException as error:
                if is_too_large(error):
                    raise
                if job.destination.post_in is not None:
                    raise ResultChannelGone from error
                log.warning("job %s: %s: %s", job.id, send.__name__, error)
            else:
                if message_id is not None:
                    return message_id
        raise DeliveryFailed(tr("Your picture is ready, but I can neither post it here nor send you a direct message."))

    async def send_status_message(self, job: Job, text: str, view: discord.ui.View) -> int:
        """Send the status message of a job without an interaction to its channel; return the message's id."""
        channel = self._channel(job)
        fields = self._send_fields(job) | {"nonce": f"status-{job.id}", "allowed_mentions": NO_MENTIONS}

        async def send() -> int:
            return (await channel.send(text, view=view, **fields)).id

        return await post_once(channel, job.asked_at, partial(_has_cancel_button, job), send)

    async def find_result(self, job: Job) -> int | None:
        """Search for a result that was posted although Discord's response never arrived."""
        found = None
        if job.destination.by_channel:
            found = await self._find(self._result_channel(job), job, is_result_message)
        if found is None and not (job.destination.by_channel and job.destination.guild_id is None):
            found = await self._find(await self._dm_channel(job), job, is_result_message)
        return found

    async def _find(
        self, channel: Messageable, job: Job, matches: Callable[[Job, discord.Message], bool]
    ) -> int | None:
        return await retry_until_available(
            lambda: find_message(channel, job.asked_at, lambda message: matches(job, message))
        )

    async def _post_by_channel(self, job: Job, _: int | None, result: ResultMessage) -> int | None:
        if not job.destination.by_channel:
            return None
        channel, fields = self._result_channel(job), self._send_fields(job, result.pinged)

        async def send() -> int:
            return (await channel.send(result.content, view=result.view, **_pictures(result), **fields)).id

        return await post_once(channel, job.asked_at, partial(is_result_message, job), send)

    def _send_fields(self, job: Job, pinged: Iterable[int] = ()) -> dict[str, Any]:
        fields: dict[str, Any] = {"nonce": job.id, "allowed_mentions": _mention_requester(job, pinged)}
        if job.destination.reply_to is not None and job.destination.post_in is None:
            fields["reference"] = discord.MessageReference(
                message_id=job.destination.reply_to, channel_id=job.destination.channel_id, fail_if_not_exists=False
            )
        return fields

    async def _post_by_token(self, job: Job, status_message_id: int | None, result: ResultMessage) -> int | None:
        if not self.token_is_valid(job):
            return None
        if status_message_id is not None:
            with suppress(discord.NotFound):  # it was deleted
                return await self._replace_status_message(job, status_message_id, result)
        return await self._send_followup(job, result)

    async def _replace_status_message(self, job: Job, status_message_id: int, result: ResultMessage) -> int:
        message = await retry_until_available(
            lambda: self._webhook(job).edit_message(
                status_message_id,
                content=result.content,
                attachments=result.files(),
                embeds=result.embeds(),
                view=result.view,
                allowed_mentions=NO_MENTIONS,
            )
        )
        return message.id

    async def _send_followup(self, job: Job, result: ResultMessage) -> int:
        message = await retry_until_available(
            lambda: self._webhook(job).send(
                result.content,
                **_pictures(result),
                view=result.view,
                ephemeral=job.destination.private,
                allowed_mentions=_mention_requester(job),
                wait=True,
            )
        )
        return message.id

    async def _post_by_dm(self, job: Job, _: int | None, result: ResultMessage) -> int:
        message = replace(result, spoiler=result.spoiler or result.nsfw)
        return await self._send_dm(
            job,
            message.content,
            partial(is_result_message, job),
            lambda: {"view": message.view, **_pictures(message)},
        )

    async def _report_by_dm(
        self,
        job: Job,
        text: str,
        files: Callable[[], list[discord.File]] = list,
        view: discord.ui.View | None = None,
    ) -> None:
        try:
            content = job_text.with_dm_reason(text, job)
            await self._send_dm(
                job, text, lambda message: message.content == content, lambda: {"files": files(), "view": view}
            )
        except discord.HTTPException as error:
            log.warning("job %s: could not send a direct message about its end: %s", job.id, error)

    async def _send_dm(self, job: Job, text: str, is_posted: IsPosted, fields: Callable[[], dict[str, Any]]) -> int:
        channel, content = await self._dm_channel(job), job_text.with_dm_reason(text, job)

        async def send() -> int:
            return (await channel.send(content, nonce=job.id, **fields())).id

        return await post_once(channel, job.asked_at, is_posted, send)

    async def _delete_dm(self, job: Job, message_id: int) -> None:
        await (await self._dm_channel(job)).get_partial_message(message_id).delete()

    async def _dm_channel(self, job: Job) -> discord.DMChannel:
        return await retry_until_available(lambda: self._client.create_dm(discord.Object(job.requester.id)))

    async def _by_token_or_channel(
        self, job: Job, by_token: Callable[[], Awaitable[Any]], by_channel: Callable[[], Awaitable[Any]]
    ) -> None:
        if self.token_is_valid(job) or not job.destination.by_channel:
            try:
                await by_token()
                return
            except discord.HTTPException as error:
                if error.code not in TOKEN_EXPIRED_CODES or not job.destination.by_channel:
                    raise
        await by_channel()

    def _webhook(self, job: Job) -> discord.Webhook:
        assert self._client.application_id is not None, "only used once logged in"
        webhook = discord.Webhook.partial(self._client.application_id, job.destination.token, client=self._client)
        webhook.type = discord.WebhookType.application  # an interaction's webhook can also send ephemeral messages
        return webhook

    def _channel(self, job: Job) -> discord.PartialMessageable:
        return self._client.get_partial_messageable(job.destination.channel_id, guild_id=job.destination.guild_id)

    def _result_channel(self, job: Job) -> discord.PartialMessageable:
        to = job.destination
        return self._client.get_partial_messageable(to.result_channel_id, guild_id=to.guild_id)

    def _partial_message(self, job: Job, message_id: int) -> discord.PartialMessage:
        return self._channel(job).get_partial_message(message_id)


def _pictures(result: ResultMessage) -> dict[str, Any]:
    return {"files": result.files(), "embeds": result.embeds()}


async def _delete(job: Job, delete: Callable[[], Awaitable[None]]) -> bool:
    try:
        await retry_until_available(delete)
    except discord.NotFound:
        return False
    except discord.HTTPException:
        log.warning("job %s: could not delete a message", job.id, exc_info=True)
        return False
    return True


def _mention_requester(job: Job, pinged: Iterable[int] = ()) -> discord.AllowedMentions:
    users = [discord.Object(person) for person in dict.fromkeys((job.requester.id, *pinged))]
    return discord.AllowedMentions(everyone=False, roles=False, users=users, replied_user=False)


def _has_cancel_button(job: Job, message: discord.Message) -> bool:
    return f"cancel:{job.id}" in _custom_ids(message)


def is_result_message(job: Job, message: discord.Message) -> bool:
    """Return whether a message has the buttons of a job's result."""
    return any(f":{job.id}-" in custom_id for custom_id in _custom_ids(message))


def _custom_ids(message: discord.Message) -> list[str]:
    rows = (row for row in message.components if isinstance(row, discord.ActionRow))
    return [getattr(item, "custom_id", None) or "" for row in rows for item in row.children]
