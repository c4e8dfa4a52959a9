"""What a machine is told before it joins: the versions it needs. Ray itself would refuse in words that help nobody."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from generation.cluster.files import MachineFiles
from generation.cluster.ray_settings import Head
from generation.cluster.versions import Versions
from generation.errors import UserError

TIMEOUT_S = 10.0
MAX_LINE = 4096


class HeadUnreachable(Exception):
    """Nothing answers where the head should be; it may come back."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the head says: its versions, and whether the token was the right one."""

    versions: Versions
    knows_token: bool


@contextmanager
def answering(head: Head, files: MachineFiles, versions: Versions) -> Iterator[None]:
    """Answer machines that want to join, inside the block. Raises OSError if the port is taken."""
    context = _context(ssl.Purpose.CLIENT_AUTH, files)
    context.verify_mode = ssl.CERT_REQUIRED
    server = _Server((head.host, head.hello_port), context, versions, token_digest(files.token))
    threading.Thread(target=server.serve_forever, name="hello", daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def ask(head: Head, files: MachineFiles) -> Answer:
    """Ask the head what it needs. Raise HeadUnreachable if it does not answer, and UserError if it is of another
    cluster."""
    context = _context(ssl.Purpose.SERVER_AUTH, files)
    try:
        with (
            socket.create_connection((head.host, head.hello_port), TIMEOUT_S) as plain,
            context.wrap_socket(plain, server_hostname=head.host) as connection,
        ):
            connection.sendall(token_digest(files.token).encode() + b"\n")
            with connection.makefile("r", encoding="utf-8") as lines:
                answer = json.loads(lines.readline(MAX_LINE))
    except ssl.SSLError as error:
        reason = getattr(error, "verify_message", "") or error.reason or str(error)
        raise UserError(
            f"The machine at {head} is of another cluster, or its certificate is for another address ({reason}). "
            "Copy the files of `cluster init` again."
        ) from None
    except (OSError, ValueError) as error:
        raise HeadUnreachable(f"{head} does not answer ({error})") from None
    return Answer(Versions.read(answer["versions"]), answer["knows_token"])


def token_digest(token: Path) -> str:
    """Return a digest by which the same token is recognized, but which does not tell it."""
    return hashlib.sha256(b"atelier " + token.read_bytes().strip()).hexdigest()


def _context(purpose: ssl.Purpose, files: MachineFiles) -> ssl.SSLContext:
    context = ssl.create_default_context(purpose, cafile=str(files.authority))
    context.load_cert_chain(files.certificate, files.key)
    return context


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(
        self,
        address: tuple[str, int],
        context: ssl.SSLContext,
        versions: Versions,
        digest: str,
    ) -> None:
        self.context, self.versions, self.digest = context, versions, digest
        super().__init__(address, _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: whoever scans ports would fill the log."""


class _Handler(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        self.request.settimeout(TIMEOUT_S)
        with self.server.context.wrap_socket(self.request, server_side=True) as connection:
            digest = connection.makefile("rb").readline(MAX_LINE).strip().decode("ascii", "replace")
            knows_token = hmac.compare_digest(digest, self.server.digest)
            answer = {"versions": asdict(self.server.versions), "knows_token": knows_token}
            connection.sendall(json.dumps(answer).encode() + b"\n")
