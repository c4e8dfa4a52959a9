"""No request makes the fake Discord or its page answer 500: each is refused with a reason."""

from __future__ import annotations

import asyncio
import copy
import io
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from PIL import Image

from preview import Channel, FakeDiscord, UploadedFile
from preview.page.actions import ACTIONS
from preview.page.site import Page
from preview.seed_data import make_world
from preview.state.world import Message
from preview.users.simulated_user import SimulatedUser
from preview.validation.json_text import parse_json

pytestmark = pytest.mark.asyncio(loop_scope="module")
DEEP = "[" * 20_000 + "]" * 20_000
WRONG: list[Any] = ["x", 5, -1, 1.5, True, None, [], {}, [5], [None], {"x": 1}, "9" * 5000, "\u00b2", "\ud800"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[FakeDiscord]:
    """Run a fake Discord with its page, without Discord's OpenAPI file."""
    server = FakeDiscord(make_world(), limits=())
    Page(server, {"model": "none", "known": {}, "examples": []}, lambda: {"alive": True, "words": ""})
    async with server:
        yield server
    assert not server.crashes


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def session(server: FakeDiscord) -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"Authorization": f"Bot {server.world.application.token}"}
    async with aiohttp.ClientSession(server.core.base_url, headers=headers) as session:
        yield session


@pytest.fixture
def gallery(server: FakeDiscord) -> Channel:
    return next(each for each in server.world.channels.values() if each.name == "gallery")


def mira(server: FakeDiscord) -> SimulatedUser:
    return server.person(next(each for each in server.world.users.values() if each.name == "mira"))


async def send_hello(server: FakeDiscord, channel: Channel) -> Message:
    return await mira(server).send(channel, "hello")


BAD_NUMBERS = ("zz", "-1", "1.5", "%20", "9" * 5000, "%C2%B2", "%ED%A0%80", "0x1", "1e9", "")
QUERIES = (
    "/attachments/1/2/x?ex={}",
    "/attachments/1/{}/x?ex=1",
    "/attachments/1/2/x?ex=1&hm={}",
    "/ephemeral-attachments/{}/2/x",
    "/api/v10/channels/{}",
    "/api/v10/channels/{}/messages/{}",
    "/api/v10/channels/CHANNEL/messages?limit={}",
    "/api/v10/channels/CHANNEL/messages?before={}",
    "/api/v10/channels/CHANNEL/messages?after={}",
    "/api/v10/channels/CHANNEL/messages?around={}",
    "/api/v10/channels/CHANNEL/messages/MESSAGE/reactions/x?after={}&limit={}",
    "/api/v10/guilds/{}",
    "/api/v10/guilds/GUILD/members/{}",
    "/api/v10/users/{}",
    "/api/v10/users/@me/guilds?after={}",
    "/api/v10/users/@me/guilds?limit={}",
    "/api/v10/applications/{}/commands",
    "/api/v10/applications/APPLICATION/commands/{}",
    "/api/v10/applications/APPLICATION/guilds/{}/commands",
    "/page/{}",
    "/?as={}",
)


@pytest.mark.parametrize("query", QUERIES)
async def test_a_bad_number_in_an_address_is_refused(server, session, gallery, query):
    sent = await send_hello(server, gallery)
    ids = {"CHANNEL": gallery.id, "MESSAGE": sent.id, "GUILD": gallery.guild_id}
    ids["APPLICATION"] = server.world.application.id
    for name, number in ids.items():
        query = query.replace(name, str(number))
    for bad in BAD_NUMBERS:
        async with session.get(query.replace("{}", bad)) as answer:
            assert answer.status < 500, bad


async def test_a_signed_address_with_another_number_is_not_found(server, session, gallery):
    out = io.BytesIO()
    Image.new("RGB", (4, 4)).save(out, "PNG")
    sent = await mira(server).send(gallery, "", UploadedFile("a.png", out.getvalue()))
    address = server.core.cdn_url(sent.attachments[0])
    path, _, query = address.partition("?")
    expires = query.split("&")[0].removeprefix("ex=")
    for changed in (address.replace(expires, expires + "0"), address.replace(expires, f"+{expires}"), path):
        async with session.get(changed) as answer:
            assert answer.status == 404
    async with session.get(address) as answer:
        assert answer.status == 200


BODIES = ("[]", '"x"', "5", "null", "{", "", DEEP, '{"a":' * 900 + "1" + "}" * 900, '{"channel": NaN}', "\0")


@pytest.mark.parametrize("action", ACTIONS)
async def test_a_body_that_is_no_object_is_refused_by_the_page(session, action):
    for body in BODIES:
        form = aiohttp.FormData({"json": body}, default_to_multipart=True)
        async with session.post(f"/do/{action}", data=form) as answer:
            assert answer.status in (400, 422), body[:20]
    for kind in ("multipart/form-data", "multipart/form-data; boundary=x", "application/json", "text/plain"):
        async with session.post(f"/do/{action}", data=b"\xff--x", headers={"Content-Type": kind}) as answer:
            assert answer.status == 400, kind


@pytest.mark.parametrize("path", ["/do/send", "/api/v10/users/@me/channels"])
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "unknown"])
async def test_a_compressed_body_is_refused(session, path, encoding):
    headers = {"Content-Encoding": encoding, "Content-Type": "application/json"}
    async with session.post(path, data=b"\xff\xfe--x", headers=headers) as answer:
        assert answer.status == 400


PAGE_VALUES = {
    "command": {"name": "imagine", "channel": "CHANNEL", "values": {"prompt": "x"}},
    "complete": {"name": "imagine", "channel": "CHANNEL", "option": "x", "typed": "x", "values": {}},
    "menu": {"name": "x", "channel": "CHANNEL", "message": "MESSAGE"},
    "press": {"message": "MESSAGE", "custom_id": "x"},
    "select": {"message": "MESSAGE", "custom_id": "x", "chosen": ["x"]},
    "submit": {"interaction": "1", "values": {}},
    "send": {"channel": "CHANNEL", "text": "hello", "message": "MESSAGE"},
    "react": {"message": "MESSAGE", "emoji": "x", "on": True},
}


@pytest.mark.parametrize("action", PAGE_VALUES)
async def test_a_value_of_the_wrong_type_is_refused_by_the_page(server, session, gallery, action):
    sent = await send_hello(server, gallery)
    given = json.loads(
        json.dumps(PAGE_VALUES[action]).replace("CHANNEL", str(gallery.id)).replace("MESSAGE", str(sent.id))
    )
    for changed in variants(given | {"as": "mira"}):
        form = aiohttp.FormData({"json": json.dumps(changed)}, default_to_multipart=True)
        async with session.post(f"/do/{action}", data=form) as answer:
            assert answer.status in (200, 422), changed


BUTTON = {"type": 2, "style": 2, "label": "U1", "custom_id": "a", "emoji": {"name": "🔄"}}
SELECT = {"type": 3, "custom_id": "s", "options": [{"label": "a", "value": "a"}]}
MESSAGE = {
    "content": "hello",
    "flags": 0,
    "nonce": "5",
    "enforce_nonce": True,
    "allowed_mentions": {"parse": ["users"]},
    "message_reference": {"message_id": "1", "fail_if_not_exists": False},
    "attachments": [],
    "embeds": [{"title": "a", "url": "https://a", "color": 5, "footer": {"text": "x"}, "author": {"name": "b"},
                "fields": [{"name": "a", "value": "b"}], "image": {"url": "https://b"}}],
    "components": [{"type": 1, "components": [BUTTON]}, {"type": 1, "components": [SELECT]}],
}  # fmt: skip
V2 = {
    "flags": 1 << 15,
    "components": [{
        "type": 17,
        "accent_color": 5,
        "components": [
            {"type": 9, "components": [{"type": 10, "content": "x"}], "accessory": BUTTON},
            {"type": 12, "items": [{"media": {"url": "https://a"}, "description": "x"}]},
            {"type": 14, "spacing": 1, "divider": True},
        ],
    }],
}  # fmt: skip
OPTION = {"type": 3, "name": "b", "description": "c", "choices": [{"name": "x", "value": "y"}], "required": True}
COMMAND = {"name": "a", "type": 1, "description": "b", "name_localizations": {"de": "c"}, "options": [OPTION]}
API_BODIES = [
    ("POST", "/channels/CHANNEL/messages", MESSAGE),
    ("POST", "/channels/CHANNEL/messages", V2),
    ("POST", "/channels/CHANNEL/messages/bulk-delete", {"messages": ["1", "2"]}),
    ("POST", "/channels/CHANNEL/threads", {"name": "a", "type": 11}),
    ("PATCH", "/channels/CHANNEL", {"topic": "a"}),
    ("POST", "/users/@me/channels", {"recipient_id": "1"}),
    ("POST", "/applications/APPLICATION/commands", COMMAND),
    ("PUT", "/applications/APPLICATION/commands", [COMMAND]),
]


@pytest.mark.parametrize(("method", "path", "body"), API_BODIES)
async def test_a_body_with_a_wrong_type_is_refused_by_the_api(server, session, gallery, method, path, body):
    path = path.replace("CHANNEL", str(gallery.id)).replace("APPLICATION", str(server.world.application.id))
    bodies = [json.dumps(each) for each in variants(body)]
    for given in (*bodies, *BODIES):
        kind = {"Content-Type": "application/json"}
        raw = given.encode("utf-8", "surrogatepass")
        async with session.request(method, f"/api/v10{path}", data=raw, headers=kind) as answer:
            assert answer.status < 500, given[:300]


async def test_a_wrong_answer_to_an_interaction_is_refused(server, session, gallery):
    path = f"/applications/{server.world.application.id}/commands"
    async with session.put(f"/api/v10{path}", json=[{"name": "say", "type": 1, "description": "b"}]) as answer:
        assert answer.status == 200
    modal = {"title": "a", "custom_id": "b", "components": [
        {"type": 18, "label": "c", "component": {"type": 4, "custom_id": "d", "style": 1}}]}  # fmt: skip
    for kind, data in ((4, MESSAGE), (5, {"flags": 64}), (9, modal)):
        for body in variants({"type": kind, "data": data}):
            used = await mira(server).command("say", gallery)
            address = f"/api/v10/interactions/{used.id}/{used.token}/callback"
            async with session.post(address, json=body) as answer:
                assert answer.status < 500, body


GATEWAY = ("[]", "5", "{", DEEP, '{"op": "x"}', '{"op": 2, "d": 5}', '{"op": 2, "d": {"token": 5}}',
           '{"op": 6, "d": {"seq": "x"}}', '{"op": NaN}')  # fmt: skip


async def test_a_wrong_payload_closes_the_gateway_and_a_wrong_query_the_page_ignores(session, caplog):
    for payload in GATEWAY:
        async with session.ws_connect("/gateway") as socket:
            await socket.receive()
            await socket.send_str(payload)
            assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE, payload
            assert socket.close_code in (4001, 4002, 4004), payload
    async with session.ws_connect("/feed?as=mira") as socket:
        hello = await socket.receive_json()
        for query in (*GATEWAY, '{"open": Infinity}', '{"open": {}}', '{"open": "1", "before": []}'):
            await socket.send_str(query)
        await socket.send_json({"open": hello["channels"][0]["id"]})
        async with asyncio.timeout(20):
            while (await socket.receive_json())["kind"] != "contents":
                pass
    assert not caplog.records


def variants(value: Any) -> Iterator[Any]:
    """Yield the value itself, and copies of it that lack one field or have a wrong value in its place."""
    yield value
    for path in paths(value):
        for wrong in (*WRONG, ...):
            changed = copy.deepcopy(value)
            holder = changed
            for step in path[:-1]:
                holder = holder[step]
            if wrong is ...:
                del holder[path[-1]]
            else:
                holder[path[-1]] = wrong
            yield changed


def paths(value: Any) -> Iterator[tuple[Any, ...]]:
    """Yield the path to every field and element of a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in items:
        yield (key,)
        yield from ((key, *rest) for rest in paths(child))


async def test_json_is_read_up_to_a_depth_that_no_body_has():
    assert parse_json('{"a": [1, null, "x"]}') == {"a": [1, None, "x"]}
    assert parse_json("[" * 60 + "]" * 60)
    for text in (DEEP, "[" * 65 + "]" * 65, "NaN", "[-Infinity]"):
        with pytest.raises(ValueError, match=r"deep|no JSON"):
            parse_json(text)
