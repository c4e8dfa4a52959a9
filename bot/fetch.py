"""Pictures behind links that somebody typed: fetched from the public internet only, within limits of every kind."""

from __future__ import annotations

import asyncio
import re
import socket
from ipaddress import ip_address, ip_network

import aiohttp
from yarl import URL

from generation.display import escape, shorten
from generation.errors import UserError
from generation.files.sanitize import MAX_BYTES

TIMEOUT = 30.0  # seconds for all of it, from the name's lookup to the last byte
MOST_AT_ONCE = 4  # each may hold MAX_BYTES of memory, and one of the default executor's threads for its lookup
MOST_REDIRECTS = 4
LONGEST_SHOWN = 100  # characters of the link in a complaint

HEADERS = {
    "User-Agent": "Atelier (Discord bot)",
    "Accept": "image/png, image/jpeg, image/webp, image/gif, */*;q=0.1",
    "Accept-Encoding": "identity",  # a picture gains nothing by compression, and a bomb needs it
}
REDIRECTS = (301, 302, 303, 307, 308)
UNSTATED = ("application/octet-stream", "binary/octet-stream")  # what is in it, the intake finds out

# From IANA's special-purpose registries, in full because Python's `is_global` differs from version to version. Of IPv6
# only global unicast is public, so no mapped, translated or local address ever is.
UNICAST = ip_network("2000::/3")
NOT_PUBLIC = [
    ip_network(block)
    for block in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24"),
        *("203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        *("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),
        "168.63.129.16/32",  # Azure tells each of its machines its settings there
    )
]
ATTACHMENT = re.compile(r"/(ephemeral-)?attachments/\d+/\d+/[^/]+")


class Fetcher:
    """Fetches what lies behind links, a few at a time; there is nothing to close.

    `stand_in` is the origin of a Discord on this machine (`Config.stand_in`): its attachments are fetched as well,
    and nothing else that is not public.
    """

    def __init__(self, stand_in: str | None = None) -> None:
        self._stand_in = URL(stand_in) if stand_in else None
        self._places = asyncio.Semaphore(MOST_AT_ONCE)

    async def fetch(self, link: str) -> bytes:
        """Give the bytes behind `link`, at most MAX_BYTES of them; whether they are a picture, the intake says.

        Raises Complaint, which names the link and what is wrong with it.
        """
        try:
            async with self._places, asyncio.timeout(TIMEOUT):
                return await self._follow(_read(link))
        except _Fault as fault:
            reason = str(fault)
        except (aiohttp.ClientError, OSError, UnicodeError) as error:
            reason = _explain(error)
        raise UserError(f"I cannot fetch {escape(shorten(link, LONGEST_SHOWN))}: {reason}.")

    async def _follow(self, url: URL) -> bytes:
        for _ in range(1 + MOST_REDIRECTS):
            answer = await self._ask(url)
            if isinstance(answer, bytes):
                return answer
            url = answer
        raise _Fault("it leads from one address to the next and never to a picture")

    async def _ask(self, url: URL) -> bytes | URL:
        """Make one request; give the body, or the address where it is said to be."""
        if url.origin() == self._stand_in and ATTACHMENT.fullmatch(url.path):
            session = _session(None)
        else:
            _check_port(url)
            session = _session(_public_socket)
        async with session, session.get(url, allow_redirects=False) as response:
            if response.status in REDIRECTS and "Location" in response.headers:
                return _read(response.headers["Location"], base=url)
            _check_head(response)
            return await _body(response)


def is_public(address: str) -> bool:
    """Say whether an IP address is one of the public internet; anything else that `address` may be is not."""
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    return (ip.version == 4 or ip in UNICAST) and not any(ip in block for block in NOT_PUBLIC)


class _Fault(Exception):
    """What is wrong with a link, as the end of a sentence about it."""


class _NotPublicError(OSError):
    """The address that was about to be connected to is not public."""


def _read(link: str, base: URL | None = None) -> URL:
    try:
        url = URL(link) if base is None else base.join(URL(link))
    except ValueError:
        raise _Fault(
            "it is not a link I understand" if base is None else "it leads to something that is no link"
        ) from None
    if url.scheme not in ("http", "https") or not url.raw_host:
        raise _Fault("only links that begin with http\\:// or https\\:// lead to pictures")
    if "@" in url.raw_authority:
        raise _Fault("there is a name or a password before its host")
    return url


def _check_port(url: URL) -> None:
    # Pictures are served at the usual ports. At others are databases and panels, also of the machine this runs on,
    # which may answer at its public address what it would not answer to the world.
    if not url.is_default_port():
        raise _Fault(f"it names the port {url.port}, and I only ask web servers at the usual one")


def _session(socket_factory: aiohttp.SocketFactoryType | None) -> aiohttp.ClientSession:
    """Open a session for one request: no cookies, no proxy of the environment, no connection that others used."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            resolver=aiohttp.ThreadedResolver(), use_dns_cache=False, force_close=True, socket_factory=socket_factory
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=HEADERS,
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(total=None),  # that of `fetch` is for all requests together
    )


def _public_socket(info: aiohttp.AddrInfoType) -> socket.socket:
    """Make the socket for the address that is connected to next, if it is public.

    It is the last thing done before the connection, for names and numbers alike: no second lookup can bring another
    address, and no spelling of a number goes round it.
    """
    family, kind, protocol, _, address = info
    if not is_public(str(address[0])):
        raise _NotPublicError
    return socket.socket(family, kind, protocol)


def _check_head(response: aiohttp.ClientResponse) -> None:
    match response.status:
        case 200:
            pass
        case 404 | 410:
            raise _Fault("there is nothing there (any more)")
        case 401 | 403:
            raise _Fault("it is not shown to everybody; attach the picture instead")
        case status:
            raise _Fault(f"the server there answered with the error {status}")
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise _Fault("the server there insists on compressing it")
    if (response.content_length or 0) > MAX_BYTES:
        raise _too_large()
    kind = response.headers.get("Content-Type", UNSTATED[0]).partition(";")[0].strip().lower()
    if kind == "text/html":
        raise _Fault("it is a web page; open the picture in it and copy that link, or attach it")
    if not kind.startswith("image/") and kind not in UNSTATED:
        raise _Fault("it is not a picture")


async def _body(response: aiohttp.ClientResponse) -> bytes:
    data = bytearray()
    async for chunk in response.content.iter_any():
        data += chunk
        if len(data) > MAX_BYTES:
            raise _too_large()
    return bytes(data)


def _too_large() -> _Fault:
    return _Fault(f"it is too large; I take pictures of up to {MAX_BYTES >> 20} MiB")


def _explain(error: Exception) -> str:
    match error:
        case aiohttp.ClientConnectorDNSError() | UnicodeError():
            return "there is no server of that name"
        case aiohttp.InvalidURL():
            return "it is not a link I understand"
        case aiohttp.ClientSSLError():
            return "the server there cannot prove that it is the right one"
        case aiohttp.ClientConnectorError(os_error=_NotPublicError()):
            return "it does not lead to the public internet"
        case aiohttp.ClientConnectorError():
            return "the server there does not answer"
        case TimeoutError():
            return f"it took longer than {TIMEOUT:g} seconds"
        case _:
            return "the server there broke off"
