"""Everything that the bot has sent to Discord, to look for what must not be in it."""

from __future__ import annotations

import json

from preview import User
from preview.state.core import RecordedRequest
from tests.support.bot_harness import BotHarness


class Payloads:
    """The bot's requests from now on."""

    def __init__(self, harness: BotHarness) -> None:
        self.harness, self.begin = harness, len(harness.server.requests)

    def found(self, *secrets: object, except_to: User | None = None) -> list[str]:
        """Return the requests in which one of `secrets` occurs, leaving out private responses to one person."""
        tokens = {each.token for each in self.harness.server.interactions if each.user is except_to}
        return [
            f"{request.method} {request.path}: {secret}"
            for request in self.harness.server.requests[self.begin :]
            if not any(token in request.path for token in tokens)
            for secret in map(str, secrets)
            if secret in _text(request)
        ]


def _text(request: RecordedRequest) -> str:
    return json.dumps([request.body, request.files], ensure_ascii=False)
