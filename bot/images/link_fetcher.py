"""Pictures behind links that somebody typed: fetched from the public internet only, within limits of every kind."""

from __future__ import annotations

import asyncio
import re
import socket
from ipaddress import ip_address, ip_network

import aiohttp
from yarl import URL

from bot.ui.text import escape_markdown, truncate
from generation.errors import UserError
from generation.files.sanitize import MAX_BYTES

TIMEOUT = 30.0  # seconds for all of it, from the name's lookup to the last byte
MAX_CONCURRENT = 4  # each may hold MAX_BYTES of memory, and one of the default executor's threads for its lookup
MAX_REDIRECTS = 4
MAX_SHOWN_LENGTH = 100  # characters of the link in a complaint

HEADERS = {
    "User-Agent": "Atelier (Discord bot)",
    "Accept": "image/png, image/jpeg, image/webp, image/gif, */*;q=0.1",
    "Accept-Encoding": "identity",  # a picture gains nothing by compression, and a bomb needs it
}
REDIRECT_STATUSES = (301, 302, 303, 307, 308)
GENERIC_CONTENT_TYPES = ("application/octet-stream", "binary/octet-stream")  # what is in it, the intake finds out

# From IANA's special-purpose registries, in full because Python's `is_global` differs from version to version. Of IPv6
# only global unicast is public, so no mapped, translated or local address ever is.
GLOBAL_UNICAST = ip_network("2000::/3")
NON_PUBLIC_NETWORKS = [
    ip_network(block)
    for block in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24"),
        *("203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        *("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),
        "168.63.129.16/32",  # Azure tells each of its machines its settings there
    )
]
ATTACHMENT_PATH = re.compile(r"/(ephemeral-)?attachments/\d+/\d+/[^/]+")


class LinkFetcher:
    """Fetches what lies behind links, a few at a time; there is nothing to close.

    `stand_in` is the origin of a Discord on this machine (`Config.stand_in`): its attachments are fetched as well,
    and nothing else that is not public.
    """

    def __init__(self, fake_discord_origin: str | None = None) -> None:
        self._fake_discord_origin = URL(fake_discord_origin) if fake_discord_origin else None
        self._semaphore = asyncio.Semaphore(MAX_CONCURRENT)

    async def fetch(self, link: str) -> bytes:
        """Give the bytes behind `link`, at most MAX_BYTES of them; whether they are a picture, the intake says.

        Raises Complaint, which names the link and what is wrong with it.
        """
        try:
            async with self._semaphore, asyncio.timeout(TIMEOUT):
                return await self._follow_redirects(_parse_url(link))
        except LinkError as error:
            reason = str(error)
        except (aiohttp.ClientError, OSError, UnicodeError) as error:
            reason = _describe_error(error)
        raise UserError(f"I cannot fetch {escape_markdown(truncate(link, MAX_SHOWN_LENGTH))}: {reason}.")

    async def _follow_redirects(self, url: URL) -> bytes:
        for _ in range(1 + MAX_REDIRECTS):
            result = await self._request(url)
            if isinstance(result, bytes):
                return result
            url = result
        raise LinkError("it leads from one address to the next and never to a picture")

    async def _request(self, url: URL) -> bytes | URL:
        """Make one request; give the body, or the address where it is said to be."""
        if url.origin() == self._fake_discord_origin and ATTACHMENT_PATH.fullmatch(url.path):
            session = _open_session(None)
        else:
            _check_port(url)
            session = _open_session(_public_socket)
        async with session, session.get(url, allow_redirects=False) as response:
            if response.status in REDIRECT_STATUSES and "Location" in response.headers:
                return _parse_url(response.headers["Location"], base=url)
            _check_headers(response)
            return await _read_body(response)


def is_public(address: str) -> bool:
    """Say whether an IP address is one of the public internet; anything else that `address` may be is not."""
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    return (ip.version == 4 or ip in GLOBAL_UNICAST) and not any(ip in block for block in NON_PUBLIC_NETWORKS)


class LinkError(Exception):
    """What is wrong with a link, as the end of a sentence about it."""


class _NotPublicError(OSError):
    """The address that was about to be connected to is not public."""


def _parse_url(link: str, base: URL | None = None) -> URL:
    try:
        url = URL(link) if base is None else base.join(URL(link))
    except ValueError:
        raise LinkError(
            "it is not a link I understand" if base is None else "it leads to something that is no link"
        ) from None
    if url.scheme not in ("http", "https") or not url.raw_host:
        raise LinkError("only links that begin with http\\:// or https\\:// lead to pictures")
    if "@" in url.raw_authority:
        raise LinkError("there is a name or a password before its host")
    return url


def _check_port(url: URL) -> None:
    # Pictures are served at the usual ports. At others are databases and panels, also of the machine this runs on,
    # which may answer at its public address what it would not answer to the world.
    if not url.is_default_port():
        raise LinkError(f"it names the port {url.port}, and I only ask web servers at the usual one")


def _open_session(socket_factory: aiohttp.SocketFactoryType | None) -> aiohttp.ClientSession:
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


def _check_headers(response: aiohttp.ClientResponse) -> None:
    match response.status:
        case 200:
            pass
        case 404 | 410:
            raise LinkError("there is nothing there (any more)")
        case 401 | 403:
            raise LinkError("it is not shown to everybody; attach the picture instead")
        case status:
            raise LinkError(f"the server there answered with the error {status}")
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise LinkError("the server there insists on compressing it")
    if (response.content_length or 0) > MAX_BYTES:
        raise _too_large()
    kind = response.headers.get("Content-Type", GENERIC_CONTENT_TYPES[0]).partition(";")[0].strip().lower()
    if kind == "text/html":
        raise LinkError("it is a web page; open the picture in it and copy that link, or attach it")
    if not kind.startswith("image/") and kind not in GENERIC_CONTENT_TYPES:
        raise LinkError("it is not a picture")


async def _read_body(response: aiohttp.ClientResponse) -> bytes:
    data = bytearray()
    async for chunk in response.content.iter_any():
        data += chunk
        if len(data) > MAX_BYTES:
            raise _too_large()
    return bytes(data)


def _too_large() -> LinkError:
    return LinkError(f"it is too large; I take pictures of up to {MAX_BYTES >> 20} MiB")


def _describe_error(error: Exception) -> str:
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
