"""Images by link: what is fetched, and how malicious links are refused."""

from __future__ import annotations

import asyncio
import datetime
import gzip
import io
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from yarl import URL

from bot.config import Config
from bot.images import link_fetcher
from bot.images.link_fetcher import LinkFetcher, is_public
from generation.errors import UserError
from generation.files.sanitize import MAX_BYTES, sanitize_image
from preview import FakeDiscord, World
from preview.state.files import UploadedFile
from tests.support.languages import run_in
from tests.support.timing import TIMEOUT_S

PUBLIC, OTHER = "93.184.216.34", "151.101.1.140"
LINK = "http://pictures.example/a/fox.png"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class FakeInternet:
    """A fake internet: DNS names, and hosts that are really servers on loopback.

    `names` has the answers of each name's lookups in order; the last one repeats.
    """

    def __init__(self) -> None:
        self.names: dict[str, list[list[str]]] = {}
        self.hosts: dict[tuple[str, int], int] = {}
        self.lookups: list[str] = []
        self.connections: list[tuple[str, int]] = []
        self.requests: list[web.Request] = []
        self.bytes_sent = 0  # by `serve_bytes`

    def add_name(self, name: str, *answers: str | list[str]) -> None:
        self.names[name] = [[answer] if isinstance(answer, str) else answer for answer in answers]

    @asynccontextmanager
    async def serve(
        self, handler: Handler, address: str = PUBLIC, port: int = 80, tls: ssl.SSLContext | None = None
    ) -> AsyncIterator[int]:
        """Serve `handler` at a public address; yield its real port on loopback."""

        async def record(request: web.Request) -> web.StreamResponse:
            self.requests.append(request)
            return await handler(request)

        async with serve_on_loopback(web.Server(record), tls) as real:
            self.hosts[address, port] = real
            yield real

    @asynccontextmanager
    async def serve_bytes(self, *answer: bytes) -> AsyncIterator[None]:
        """Answer every request to the public address with exactly these bytes, then close the connection."""

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            for part in answer:
                writer.write(part)
                try:
                    await writer.drain()
                except ConnectionError:
                    break
                self.bytes_sent += len(part)
            writer.close()

        async with await asyncio.start_server(talk, "127.0.0.1") as server:
            self.hosts[PUBLIC, 80] = server.sockets[0].getsockname()[1]
            yield

    def resolve(self, host: str, port: int) -> list[tuple[object, ...]]:
        self.lookups.append(host)
        if host not in self.names:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        answers = self.names[host]
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (one, port, 0, 0))
            if ":" in one
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port))
            for one in addresses
        ]


@asynccontextmanager
async def serve_on_loopback(server: web.Server, tls: ssl.SSLContext | None) -> AsyncIterator[int]:
    runner = web.ServerRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@pytest.fixture
async def internet(monkeypatch: pytest.MonkeyPatch) -> FakeInternet:
    """Redirect the event loop's DNS lookups and connections to a fake internet on loopback."""
    internet = FakeInternet()
    internet.add_name("pictures.example", PUBLIC)
    loop = asyncio.get_running_loop()
    look_up, connect = loop.getaddrinfo, loop.sock_connect

    async def getaddrinfo(host, port, **options):
        if str(host).startswith("127."):  # the servers of this test
            return await look_up(host, port, **options)
        return internet.resolve(host, port)

    async def sock_connect(sock, address):
        internet.connections.append(address[:2])
        if address[:2] not in internet.hosts:
            raise ConnectionRefusedError(111, "Connection refused")
        await connect(sock, ("127.0.0.1", internet.hosts[address[:2]]))

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(loop, "sock_connect", sock_connect)
    return internet


def image_bytes(kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 32), "red").save(file, kind, **options)
    return file.getvalue()


def respond_with(body: bytes = b"", kind: str = "image/png", status: int = 200, **headers: str) -> Handler:
    """Return a handler that always sends the same response."""

    async def handle(_: web.Request) -> web.Response:
        return web.Response(body=body, status=status, headers={"Content-Type": kind, **headers})

    return handle


def redirect_to(locations: dict[str, str], status: int = 302) -> Handler:
    """Return a handler that redirects some paths, and has an image at every other path."""

    async def handle(request: web.Request) -> web.Response:
        if request.path in locations:
            return web.Response(status=status, headers={"Location": locations[request.path]})
        return web.Response(body=image_bytes(), content_type="image/png")

    return handle


async def fetch_error(link: str, fetcher: LinkFetcher | None = None) -> str:
    with pytest.raises(UserError) as raised:
        await (fetcher or LinkFetcher()).fetch(link)
    return str(raised.value)


# --- what is fetched


async def test_the_image_behind_a_link_is_returned(internet):
    async with internet.serve(respond_with(image_bytes())):
        assert await LinkFetcher().fetch(LINK) == image_bytes()
    assert internet.connections == [(PUBLIC, 80)]


@pytest.mark.parametrize("kind", ["image/jpeg; charset=binary", "IMAGE/PNG", "application/octet-stream", "image/x-odd"])
async def test_content_labelled_as_an_image_or_unlabelled_is_left_to_sanitize(internet, kind):
    async with internet.serve(respond_with(b"some bytes", kind)):
        assert await LinkFetcher().fetch(LINK) == b"some bytes"


async def test_an_image_without_type_or_length_is_returned(internet):
    async with internet.serve_bytes(b"HTTP/1.1 200 OK\r\n\r\n", image_bytes()):
        assert await LinkFetcher().fetch(LINK) == image_bytes()


async def test_a_rotated_photograph_is_upright_after_sanitizing(internet):
    exif = Image.Exif()
    exif[0x0112] = 6
    async with internet.serve(respond_with(image_bytes("JPEG", exif=exif), "image/jpeg")):
        cleaned = sanitize_image(await LinkFetcher().fetch(LINK))
    assert Image.open(io.BytesIO(cleaned)).size == (32, 64)


async def test_a_decompression_bomb_is_refused_by_sanitizing(internet):
    bomb = image_bytes("GIF")[:6] + b"\xff\xff\xff\xff" + image_bytes("GIF")[10:]
    async with internet.serve(respond_with(bomb, "image/gif")):
        data = await LinkFetcher().fetch(LINK)
    with pytest.raises(UserError, match="too large"):
        sanitize_image(data)


async def test_requests_send_no_cookies_and_use_no_proxy(internet, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"http://{OTHER}:3128")
    monkeypatch.setenv("http_proxy", f"http://{OTHER}:3128")
    seen: list[web.Request] = []

    async def handle(request: web.Request) -> web.Response:
        seen.append(request)
        headers = {"Set-Cookie": "id=7", "Location": "/b"} if len(seen) == 1 else {"Content-Type": "image/png"}
        return web.Response(status=302 if len(seen) == 1 else 200, body=b"x", headers=headers)

    async with internet.serve(handle):
        fetcher = LinkFetcher()
        await fetcher.fetch(LINK)
        await fetcher.fetch(LINK)
    sent = {name for request in seen for name in request.headers}
    assert sent == {"Host", "User-Agent", "Accept", "Accept-Encoding", "Connection"}
    assert {request.headers["User-Agent"] for request in seen} == {"Atelier (Discord bot)"}
    assert internet.connections == [(PUBLIC, 80)] * 3


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("place", ["/b", "b", "//other.example/b", "http://other.example/b", f"http://{OTHER}/b"])
async def test_redirects_are_followed(internet, status, place):
    internet.add_name("other.example", OTHER)
    async with internet.serve(redirect_to({"/a/fox.png": place}, status)), internet.serve(redirect_to({}), OTHER):
        assert await LinkFetcher().fetch(LINK) == image_bytes()


async def test_an_internationalized_domain_name_is_fetched(internet):
    internet.add_name("xn--bcher-kva.example", PUBLIC)
    async with internet.serve(respond_with(image_bytes())):
        assert await LinkFetcher().fetch("http://bücher.example/füchse?größe=1") == image_bytes()


async def test_of_several_addresses_only_public_ones_are_tried(internet):
    internet.add_name("pictures.example", ["10.0.0.1", "::1", OTHER, "169.254.169.254", PUBLIC])
    async with internet.serve(respond_with(image_bytes())):
        assert await LinkFetcher().fetch(LINK) == image_bytes()
    assert set(internet.connections) <= {(OTHER, 80), (PUBLIC, 80)}


async def test_the_checked_address_is_the_one_connected_to(internet):
    internet.add_name("pictures.example", PUBLIC, "127.0.0.1")
    async with internet.serve(respond_with(image_bytes())), internet.serve(respond_with(b"secret"), "127.0.0.1"):
        assert await LinkFetcher().fetch(LINK) == image_bytes()
    assert internet.lookups == ["pictures.example"]


# --- addresses that are not public


async def test_a_name_that_resolves_to_a_private_address_later_is_refused(internet):
    internet.add_name("pictures.example", PUBLIC, "127.0.0.1")
    moved = redirect_to({"/a/fox.png": "/secret.png"})
    async with internet.serve(moved), internet.serve(respond_with(b"secret"), "127.0.0.1"):
        assert "does not lead to the public internet" in await fetch_error(LINK)
    assert internet.connections == [(PUBLIC, 80)]


FORBIDDEN_HOSTS = [
    *("127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
    *("169.254.169.254", "100.64.0.1", "100.100.100.200", "192.0.0.192", "192.0.2.1", "198.18.0.1", "198.51.100.1"),
    *("203.0.113.1", "192.88.99.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "168.63.129.16"),
    *("[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:93.184.216.34]", "[::ffff:0:127.0.0.1]", "[::127.0.0.1]"),
    *("[64:ff9b::7f00:1]", "[64:ff9b:1::1]", "[2002:7f00:1::]", "[2001:0:7f00:1::]", "[fe80::1]", "[fe80::1%25lo]"),
    *("[fec0::1]", "[fc00::1]", "[fd00:ec2::254]", "[ff02::1]", "[2001:db8::1]", "[3fff::1]", "[100::1]", "[5f00::1]"),
    *("127.0.0.1.", "127.0.0.1..", "127.1", "127.0.1", "2130706433", "017700000001", "0177.0.0.1", "0x7f.0.0.1"),
    *("0x7f000001", "0", "00", "1", "127.0.0.1%00.example"),
    *("①②⑦.⓪.⓪.①", "１２７.０.０.１", "127。0。0。1", "١٢٧.٠.٠.١"),
    *("localhost", "LOCALHOST", "localhost.", "ⓛocalhost", "printer", "[v1.x]", "[::1", "::1", "...", "a b", "%"),
    *("user@127.0.0.1", ":@127.0.0.1", "pictures.example@127.0.0.1", "pictures.example%40127.0.0.1"),
    *("pictures.example\\@127.0.0.1", "127.0.0.1\\@pictures.example", "user:password@pictures.example"),
    *("pictures.example:22", "pictures.example:8080", "pictures.example:443", "pictures.example:99999"),
    *("pictures.example:0", "pictures.example:-1", "pictures.example:80:80", f"{'a' * 64}.example"),
]


async def test_no_spelling_of_a_forbidden_host_is_connected_to(internet):
    # Like the C library, resolve names that are disguised numbers.
    for disguised in ("0x7f.0.0.1", "0x7f000001", "0177.0.0.1", "localhost", "localhost.", "printer"):
        internet.add_name(disguised, "127.0.0.1" if disguised != "printer" else "192.168.0.9")
    for host in FORBIDDEN_HOSTS:
        text = await fetch_error(f"http://{host}/a.png")
        assert internet.connections == [], host
        assert text.startswith("I cannot fetch ")
        assert "http\\://" in text


async def test_no_redirect_to_a_forbidden_host_is_followed(internet):
    for host in FORBIDDEN_HOSTS:
        internet.connections.clear()
        async with internet.serve(redirect_to({"/a/fox.png": f"http://{host}/a.png"})):
            await fetch_error(LINK)
        assert internet.connections == [(PUBLIC, 80)], host


@pytest.mark.parametrize(
    "answer",
    [
        *("127.0.0.1", "10.0.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "::1", "fe80::1", "::ffff:127.0.0.1"),
        ["10.0.0.1", "::1", "127.0.0.1"],
    ],
    ids=str,
)
async def test_a_name_that_resolves_to_a_private_address_is_refused(internet, answer):
    internet.add_name("pictures.example", answer)
    assert "does not lead to the public internet" in await fetch_error(LINK)
    assert internet.connections == []


@pytest.mark.parametrize(
    "link", ["https://pictures.example:80/", "ftp://a.example/b", "file:///etc/passwd", "gopher:x"]
)
@pytest.mark.parametrize("how", ["typed", "redirected"])
async def test_only_http_and_https_at_default_ports_are_fetched(internet, link, how):
    async with internet.serve(redirect_to({"/a/fox.png": link})):
        await fetch_error(link if how == "typed" else LINK)
    assert len(internet.connections) == (how == "redirected")


@pytest.mark.parametrize("address", [PUBLIC, "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::6810:84e5"])
def test_an_internet_address_is_public(address):
    assert is_public(address)


@pytest.mark.parametrize(
    "text", ["", "localhost", "127.1", "8.8.8", "8.8.8.8.", "08.8.8.8", "fe80::1%eth0", "8.8.8.8/8"]
)
def test_text_that_is_not_an_address_is_not_public(text):
    assert not is_public(text)


@given(
    st.one_of(
        st.ip_addresses(), st.integers(0, 2**32 - 1).map(IPv4Address), st.integers(0, 2**128 - 1).map(IPv6Address)
    )
)
def test_addresses_that_python_calls_private_are_not_public(address):
    if is_public(str(address)):
        assert address.is_global
        assert not (address.is_multicast or address.is_private or address.is_reserved or address.is_link_local)


@given(st.ip_addresses(v=4).filter(lambda address: address.is_global and not address.is_multicast))
def test_every_other_global_address_is_public(address):
    known = {ip_address("168.63.129.16")}
    assert is_public(str(address)) or address in known or str(address).startswith(("192.88.99.", "192.0.0."))


# --- malicious responses


async def test_a_redirect_loop_is_refused(internet):
    async with internet.serve(redirect_to({"/a/fox.png": "/b", "/b": "/a/fox.png"})):
        assert "never to a picture" in await fetch_error(LINK)
    assert len(internet.requests) == 5


@pytest.mark.parametrize("place", ["http://[", "http://a:b/", "http://127.0.0.1\\@pictures.example/"])
async def test_a_redirect_to_nonsense_is_refused(internet, place):
    async with internet.serve(redirect_to({"/a/fox.png": place})):
        await fetch_error(LINK)


async def test_a_slow_drip_times_out(internet, monkeypatch):
    monkeypatch.setattr(link_fetcher, "TIMEOUT", 0.3)
    dripped = asyncio.Event()

    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "image/png"})
        await response.prepare(request)
        try:
            while True:
                await response.write(b"\0")
                await asyncio.sleep(0.01)
        except ConnectionError:
            dripped.set()
        return response

    async with internet.serve(drip):
        assert "took longer than 0.3 seconds" in await fetch_error(LINK)
        await asyncio.wait_for(dripped.wait(), TIMEOUT_S)


async def test_a_server_that_never_answers_times_out(internet, monkeypatch):
    monkeypatch.setattr(link_fetcher, "TIMEOUT", 0.1)

    async def hang(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    async with internet.serve(hang):
        assert "took longer" in await fetch_error(LINK)


async def test_a_dns_lookup_that_never_answers_times_out(internet, monkeypatch):
    monkeypatch.setattr(link_fetcher, "TIMEOUT", 0.1)

    async def hang(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", hang)
    assert "took longer" in await fetch_error(LINK)


def endless_response(head: bytes) -> list[bytes]:
    return [head, *[b"\0" * 2**20] * (2 * MAX_BYTES >> 20)]


@pytest.mark.parametrize(
    "head",
    [
        f"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: {MAX_BYTES + 1}\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n",
    ],
    ids=["honest", "silent"],
)
async def test_a_file_that_is_too_large_is_not_read_to_the_end(internet, head):
    async with internet.serve_bytes(*endless_response(head.encode())):
        assert "too large; I take pictures of up to 25 MiB" in await fetch_error(LINK)
    assert internet.bytes_sent < MAX_BYTES * 1.6  # the rest is in socket buffers


async def test_an_image_of_exactly_the_maximum_size_is_returned(internet):
    async with internet.serve(respond_with(b"\0" * MAX_BYTES)):
        assert len(await LinkFetcher().fetch(LINK)) == MAX_BYTES


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 100\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\nno number\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\0\0\0",
        b"",
    ],
)
async def test_a_truncated_or_invalid_response_is_refused(internet, answer):
    async with internet.serve_bytes(answer):
        assert "broke off" in await fetch_error(LINK)


async def test_bytes_beyond_the_content_length_are_not_read(internet):
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 5\r\n\r\n"
    async with internet.serve_bytes(*endless_response(answer + b"hello")):
        with suppress(UserError):  # if the rest arrives early, the response counts as broken
            assert await LinkFetcher().fetch(LINK) == b"hello"
    assert internet.bytes_sent < MAX_BYTES


async def test_a_compressed_response_is_refused_without_decompressing(internet):
    bomb = gzip.compress(b"\0" * 2 * MAX_BYTES)
    for encoding in ("gzip", "GZIP", "deflate", "br", "zstd", "identity, gzip"):
        async with internet.serve(respond_with(bomb, **{"Content-Encoding": encoding})):
            assert "sends it compressed" in await fetch_error(LINK), encoding


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("text/html; charset=utf-8", "it is a web page; open the picture in it and copy that link"),
        ("application/json", "it is not a picture"),
        ("video/mp4", "it is not a picture"),
        ("text/plain", "it is not a picture"),
        ("", "it is not a picture"),
        ("nonsense", "it is not a picture"),
    ],
)
async def test_a_content_type_other_than_an_image_is_refused(internet, kind, reason):
    async with internet.serve(respond_with(b"<html>", kind)):
        assert reason in await fetch_error(LINK)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (404, "there is nothing at that address"),
        (410, "there is nothing at that address"),
        (403, "it is not public; attach the picture instead"),
        (500, "the server answered with error 500"),
        (206, "the server answered with error 206"),
        (304, "the server answered with error 304"),
    ],
)
async def test_an_http_error_is_reported(internet, status, reason):
    async with internet.serve(respond_with(image_bytes(), status=status)):
        assert reason in await fetch_error(LINK)


@pytest.mark.parametrize(
    ("link", "reason"),
    [
        ("http://nowhere.example/", "that address does not exist"),
        (LINK, "the server does not answer"),
        ("https://pictures.example/", "the server does not answer"),
    ],
)
async def test_an_unreachable_server_is_reported(internet, link, reason):
    assert reason in await fetch_error(link)


def certificate(folder: Path, host: str) -> ssl.SSLContext:
    """Return a server's TLS context with a self-signed certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    unsigned = x509.CertificateBuilder(
        name, name, key.public_key(), 1, now - datetime.timedelta(1), now + datetime.timedelta(1)
    )
    signed = unsigned.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), False).sign(key, hashes.SHA256())
    as_pem = serialization.Encoding.PEM
    secret = key.private_bytes(as_pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "server.pem").write_bytes(secret + signed.public_bytes(as_pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return context


async def test_a_server_with_an_untrusted_certificate_is_refused(internet, tmp_path):
    async with internet.serve(respond_with(image_bytes()), PUBLIC, 443, certificate(tmp_path, "pictures.example")):
        assert "the server has no valid certificate" in await fetch_error("https://pictures.example/fox.png")
    assert internet.requests == []


async def test_a_server_without_tls_on_the_https_port_is_refused(internet):
    async with internet.serve(respond_with(image_bytes()), PUBLIC, 443):
        assert "has no valid certificate" in await fetch_error("https://pictures.example/fox.png")


# --- error messages and concurrency


@pytest.mark.parametrize(
    ("link", "shown"),
    [
        ("ftp://a.example/**b**_c_", "ftp\\://a.example/\\*\\*b\\*\\*\\_c\\_"),
        ("ftp://a/\n@everyone `x`", "ftp\\://a/ @\u200beveryone \\`x\\`"),
        ("ftp://a/" + "x" * 5000, "ftp\\://a/" + "x" * 91 + "…"),
    ],
)
async def test_the_error_shows_the_link_shortened_and_escaped(link, shown):
    assert await fetch_error(link) == (
        f"I cannot fetch {shown}: picture links must start with http\\:// or https\\://."
    )


def test_any_invalid_link_raises_a_user_error():
    other_schemes = st.text(max_size=60).map(lambda rest: f"ftp://{rest}")
    with asyncio.Runner() as runner:

        @given(other_schemes | st.text(max_size=60).filter(lambda text: "://" not in text))
        def fetch(link):
            assert runner.run(fetch_error(link)).startswith("I cannot fetch ")

        fetch()


async def test_concurrent_fetches_are_limited_and_all_complete(internet):
    now, most = 0, 0
    full, go = asyncio.Event(), asyncio.Event()

    async def handle(_: web.Request) -> web.Response:
        nonlocal now, most
        now += 1
        most = max(most, now)
        if now == link_fetcher.MAX_CONCURRENT:
            full.set()
        await go.wait()
        now -= 1
        return web.Response(body=image_bytes(), content_type="image/png")

    async with internet.serve(handle):
        fetcher = LinkFetcher()
        number = 2 * link_fetcher.MAX_CONCURRENT
        fetches = [asyncio.create_task(fetcher.fetch(LINK)) for _ in range(number)]
        await asyncio.wait_for(full.wait(), TIMEOUT_S)
        go.set()
        assert await asyncio.gather(*fetches) == [image_bytes()] * number
    assert most == link_fetcher.MAX_CONCURRENT


async def test_one_persons_slow_links_do_not_hold_up_anothers(internet, monkeypatch):
    monkeypatch.setattr(link_fetcher, "MAX_PENDING_PER_PERSON", 12)
    never = asyncio.Event()
    stuck = 0

    async def handle(request: web.Request) -> web.Response:
        nonlocal stuck
        if request.path == "/slow":
            stuck += 1
            await never.wait()
        return web.Response(body=image_bytes(), content_type="image/png")

    async with internet.serve(handle):
        fetcher, slow = LinkFetcher(), str(URL(LINK).with_path("/slow"))
        fetches = [asyncio.create_task(fetcher.fetch(slow, 1)) for _ in range(12)]
        async with asyncio.timeout(TIMEOUT_S):
            assert await fetcher.fetch(LINK, 2) == image_bytes()
        assert stuck <= link_fetcher.MAX_CONCURRENT_PER_PERSON
        with pytest.raises(UserError, match="earlier links"):
            await fetcher.fetch(LINK, 1)
        never.set()
        await asyncio.gather(*fetches)
        assert await fetcher.fetch(LINK, 1) == image_bytes()


# --- attachments of the fake Discord


@pytest.fixture
async def fake_discord(internet: FakeInternet) -> AsyncIterator[FakeDiscord]:
    async with FakeDiscord(World()) as server:
        internet.hosts["127.0.0.1", server.port] = server.port
        yield server


async def attachment(server: FakeDiscord, data: bytes) -> URL:
    """Post a file as a user, and return its link."""
    ada = server.world.add_user("ada")
    channel = server.world.add_channel(server.world.add_guild("Studio", ada))
    message = await server.person(ada).send(channel, "", UploadedFile("füchse & co.png", data))
    return URL(server.core.cdn_url(message.attachments[0]))


async def test_an_attachment_of_the_fake_discord_is_fetched(fake_discord):
    link = str(await attachment(fake_discord, image_bytes()))
    fetcher = LinkFetcher(Config(discord_api_url=fake_discord.api_url).fake_discord_origin)
    assert await fetcher.fetch(link) == image_bytes()
    assert "does not lead to the public internet" in await fetch_error(
        link.replace(f":{fake_discord.port}", ""), fetcher
    )


async def test_without_a_fake_discord_origin_its_attachments_are_refused(fake_discord):
    link = str(await attachment(fake_discord, image_bytes()))
    assert "it names port" in await fetch_error(link)
    assert fake_discord.core.base_url in link


async def test_nothing_but_attachments_of_the_fake_discord_is_fetched(internet, fake_discord):
    link = await attachment(fake_discord, image_bytes())
    fetcher = LinkFetcher(Config(discord_api_url=fake_discord.api_url).fake_discord_origin)
    for other in (
        link.with_path("/api/v10/users/@me"),
        link.with_path("/attachments/../api/v10/gateway"),
        URL(f"{link.origin()}/attachments/1/2/..%2f..%2fapi", encoded=True),
        link.with_path(f"{link.path}/more"),
        link.with_scheme("https"),
        link.with_port(fake_discord.port + 1),
        link.with_host("localhost"),
        link.with_host("127.0.0.2"),
        link.with_user("ada"),
    ):
        await fetch_error(str(other), fetcher)
    assert internet.connections == []


async def test_a_missing_attachment_is_reported(fake_discord):
    link = await attachment(fake_discord, image_bytes())
    fetcher = LinkFetcher(Config(discord_api_url=fake_discord.api_url).fake_discord_origin)
    assert "there is nothing at that address" in await fetch_error(str(link.with_query(ex="0", hm="0")), fetcher)


async def test_the_problem_with_a_link_is_named_in_the_language_of_the_server():
    refused = run_in("de", asyncio.create_task, fetch_error("ftp://a.example/b"))
    assert await refused == (
        "Ich kann ftp\\://a.example/b nicht abrufen: Links zu Bildern müssen mit http\\:// oder https\\:// beginnen."
    )
