"""Discord's error responses: HTTP status, JSON code and message."""

from __future__ import annotations

from dataclasses import dataclass

from preview.state.world import Json

# https://docs.discord.com/developers/topics/opcodes-and-status-codes
MESSAGES = {
    0: "401: Unauthorized",
    10001: "Unknown Account",
    10002: "Unknown Application",
    10003: "Unknown Channel",
    10004: "Unknown Guild",
    10007: "Unknown Member",
    10008: "Unknown Message",
    10013: "Unknown User",
    10014: "Unknown Emoji",
    10015: "Unknown Webhook",
    10062: "Unknown interaction",
    10063: "Unknown application command",
    10070: "Unknown Guild Scheduled Event",
    30010: "Maximum number of reactions reached (20)",
    30032: "Maximum number of application commands reached",
    40005: "Request entity too large",
    40060: "Interaction has already been acknowledged.",
    40094: "This interaction has reached its maximum number of follow-up messages",
    50001: "Missing Access",
    50005: "Cannot edit a message authored by another user",
    50006: "Cannot send an empty message",
    50007: "Cannot send messages to this user",
    50013: "Missing Permissions",
    50016: "Provided too few or too many messages to delete. Must provide at least 2 and at most 100 messages.",
    50024: "Cannot execute action on this channel type",
    50027: "Invalid Webhook Token",
    50034: "You can only bulk delete messages that are under 14 days old.",
    50035: "Invalid Form Body",
    50083: "Thread is archived",
    50109: "The request body contains invalid JSON.",
    160002: "Cannot reply without permission to read message history",
    160004: "A thread has already been created for this message",
}
STATUS = {0: 401, 40005: 413, 50001: 403, 50005: 403, 50007: 403, 50013: 403, 50027: 401}


@dataclass(frozen=True)
class Problem:
    """One problem in a request body: its dotted path, Discord's short code and the message."""

    path: str
    code: str
    message: str


class ApiError(Exception):
    """A request that Discord would reject."""

    def __init__(self, code: int, problems: list[Problem] | None = None, *, status: int | None = None) -> None:
        super().__init__(code, problems)
        self.code = code
        self.problems = problems or []
        self.status = status or STATUS.get(code) or (404 if 10000 <= code < 20000 else 400)

    def body(self) -> Json:
        """Return the JSON of Discord's response."""
        body: Json = {"message": MESSAGES.get(self.code, "Unknown error"), "code": self.code}
        if self.problems:
            body["errors"] = _nested_errors(self.problems)
        return body


def is_snowflake(value: object) -> bool:
    """Return whether a value is an id: an integer, or a text of ASCII digits."""
    text = str(value)
    return not isinstance(value, bool) and text.isascii() and text.isdecimal() and len(text) <= 20


def snowflake(value: object, path: str = "id") -> int:
    """Return an id as a number. Raise Invalid Form Body if it is none."""
    if not is_snowflake(value):
        raise ApiError(50035, [Problem(path, "NUMBER_TYPE_COERCE", f"Value {str(value)[:40]!r} is not snowflake.")])
    return int(str(value))


def _nested_errors(problems: list[Problem]) -> Json:
    root: Json = {}
    for problem in problems:
        node = root
        for part in filter(None, problem.path.split(".")):
            node = node.setdefault(part, {})
        node.setdefault("_errors", []).append({"code": problem.code, "message": problem.message})
    return root
