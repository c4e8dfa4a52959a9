"""Fetch images from links that users type: from the public internet only, with limits on time, size and redirects."""

from __future__ import annotations

import asyncio
import re
import socket
from collections import Counter
from ipaddress import ip_address, ip_network
from weakref import WeakValueDictionary

import aiohttp
from yarl import URL

from bot.ui.i18n import tr
from bot.ui.text import escape_markdown, truncate
from generation.errors import UserError
from generation.files.sanitize import MAX_BYTES

TIMEOUT = 30.0  # seconds for the whole fetch, from DNS lookup to last byte
MAX_CONCURRENT = 12  # each can take MAX_BYTES of memory, and a default executor thread for its DNS lookup
MAX_CONCURRENT_PER_PERSON = 2  # so that one person's slow links leave places for others
MAX_PENDING_PER_PERSON = 20  # links under way or waiting for a place
MAX_REDIRECTS = 4
MAX_SHOWN_LENGTH = 100  # characters of the link in an error message

HEADERS = {
    "User-Agent": "Atelier (Discord bot)",
    "Accept": "image/png, image/jpeg, image/webp, image/gif, */*;q=0.1",
    "Accept-Encoding": "identity",  # compression gains nothing for images and enables decompression bombs
}
REDIRECT_STATUSES = (301, 302, 303, 307, 308)
GENERIC_CONTENT_TYPES = ("application/octet-stream", "binary/octet-stream")  # `sanitize_image` finds out what it is

# From IANA's special-purpose registries, in full because Python's `is_global` differs between versions. In IPv6 only
# global unicast is public, which excludes every mapped, translated or local address.
GLOBAL_UNICAST = ip_network("2000::/3")
NON_PUBLIC_NETWORKS = [
    ip_network(block)
    for block in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24"),
        *("203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        *("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),
        "168.63.129.16/32",  # Azure's internal platform services
    )
]
ATTACHMENT_PATH = re.compile(r"/(ephemeral-)?attachments/\d+/\d+/[^/]+")


class LinkFetcher:
    """Fetches links, a few at a time; there is nothing to close.

    `fake_discord_origin` is the origin of a fake Discord on this machine (`Config.fake_discord_origin`). Its
    attachments are fetched as well, but nothing else that is not public.
    """

    def __init__(self, fake_discord_origin: str | None = None) -> None:
        self._fake_discord_origin = URL(fake_discord_origin) if fake_discord_origin else None
        self._semaphore = asyncio.Semaphore(MAX_CONCURRENT)
        self._pending: Counter[int] = Counter()  # links by person
        self._person_semaphores: WeakValueDictionary[int, asyncio.Semaphore] = WeakValueDictionary()

    async def fetch(self, link: str, person_id: int = 0) -> bytes:
        """Return the bytes behind `link`, at most MAX_BYTES, without checking that they are an image.

        Raises UserError, which names the link and the problem. A person has a few places; 0 stands for nobody.
        """
        if not person_id:
            return await self._fetch(link)
        if self._pending[person_id] >= MAX_PENDING_PER_PERSON:
            raise UserError(tr("I am still fetching your earlier links. Try again when they are here."))
        places = self._person_semaphores.setdefault(person_id, asyncio.Semaphore(MAX_CONCURRENT_PER_PERSON))
        self._pending[person_id] += 1
        try:
            async with places:
                return await self._fetch(link)
        finally:
            self._pending[person_id] -= 1
            if not self._pending[person_id]:
                del self._pending[person_id]

    async def _fetch(self, link: str) -> bytes:
        try:
            async with self._semaphore, asyncio.timeout(TIMEOUT):
                return await self._follow_redirects(_parse_url(link))
        except LinkError as error:
            reason = str(error)
        except (aiohttp.ClientError, OSError, UnicodeError) as error:
            reason = _describe_error(error)
        shown = escape_markdown(truncate(link, MAX_SHOWN_LENGTH))
        raise UserError(tr("I cannot fetch {link}: {reason}.", link=shown, reason=reason))

    async def _follow_redirects(self, url: URL) -> bytes:
        for _ in range(1 + MAX_REDIRECTS):
            result = await self._request(url)
            if isinstance(result, bytes):
                return result
            url = result
        raise LinkError(tr("it redirects again and again and never to a picture"))

    async def _request(self, url: URL) -> bytes | URL:
        """Make one request; return the body, or the address that it redirects to."""
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
    """Return whether `address` is an IP address of the public internet; no for anything that is not an IP address."""
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    return (ip.version == 4 or ip in GLOBAL_UNICAST) and not any(ip in block for block in NON_PUBLIC_NETWORKS)


class LinkError(Exception):
    """A problem with a link; the text ends the sentence "I cannot fetch …:"."""


class _NotPublicError(OSError):
    """The address to connect to is not public."""


def _parse_url(link: str, base: URL | None = None) -> URL:
    try:
        url = URL(link) if base is None else base.join(URL(link))
    except ValueError:
        if base is None:
            raise LinkError(tr("it is not a valid link")) from None
        raise LinkError(tr("it redirects to something that is not a link")) from None
    if url.scheme not in ("http", "https") or not url.raw_host:
        raise LinkError(tr("picture links must start with http\\:// or https\\://"))
    if "@" in url.raw_authority:
        raise LinkError(tr("it contains a user name or a password"))
    return url


def _check_port(url: URL) -> None:
    # Images are served at the default ports. Other ports belong to databases and admin panels, including this machine's
    # own, which may trust requests that come from its own public address.
    if not url.is_default_port():
        raise LinkError(tr("it names port {port}, and I only use the default ports of the web", port=url.port))


def _open_session(socket_factory: aiohttp.SocketFactoryType | None) -> aiohttp.ClientSession:
    """Open a session for one request, without cookies, environment proxies or reused connections."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            resolver=aiohttp.ThreadedResolver(), use_dns_cache=False, force_close=True, socket_factory=socket_factory
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=HEADERS,
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(total=None),  # `fetch` has one timeout for all requests
    )


def _public_socket(info: aiohttp.AddrInfoType) -> socket.socket:
    """Create the socket for a connection; raises if the address is not public.

    This is the last step before connecting, for names and IP addresses alike. So no second lookup can return another
    address, and no spelling of an IP address can bypass the check.
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
            raise LinkError(tr("there is nothing at that address"))
        case 401 | 403:
            raise LinkError(tr("it is not public; attach the picture instead"))
        case status:
            raise LinkError(tr("the server answered with error {status}", status=status))
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise LinkError(tr("the server sends it compressed"))
    if (response.content_length or 0) > MAX_BYTES:
        raise _too_large()
    kind = response.headers.get("Content-Type", GENERIC_CONTENT_TYPES[0]).partition(";")[0].strip().lower()
    if kind == "text/html":
        raise LinkError(tr("it is a web page; open the picture in it and copy that link, or attach the picture"))
    if not kind.startswith("image/") and kind not in GENERIC_CONTENT_TYPES:
        raise LinkError(tr("it is not a picture"))


async def _read_body(response: aiohttp.ClientResponse) -> bytes:
    data = bytearray()
    async for chunk in response.content.iter_any():
        data += chunk
        if len(data) > MAX_BYTES:
            raise _too_large()
    return bytes(data)


def _too_large() -> LinkError:
    return LinkError(tr("it is too large; I take pictures of up to {limit} MiB", limit=MAX_BYTES >> 20))


def _describe_error(error: Exception) -> str:
    match error:
        case aiohttp.ClientConnectorDNSError() | UnicodeError():
            return tr("that address does not exist")
        case aiohttp.InvalidURL():
            return tr("it is not a valid link")
        case aiohttp.ClientSSLError():
            return tr("the server has no valid certificate")
        case aiohttp.ClientConnectorError(os_error=_NotPublicError()):
            return tr("it does not lead to the public internet")
        case aiohttp.ClientConnectorError():
            return tr("the server does not answer")
        case TimeoutError():
            return tr("it took longer than {limit} seconds", limit=f"{TIMEOUT:g}")
        case _:
            return tr("the server broke off")
