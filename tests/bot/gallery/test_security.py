"""Other sites, other hosts, paths, scripts in prompts: nothing gets through."""

from __future__ import annotations

import asyncio
import io
import json
import re
import shutil

import pytest

from bot.gallery import server
from tests.support.bot_harness import eventually
from tests.support.gallery import open_gallery
from tests.support.timing import TIMEOUT_S

SCRIPTS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</title><svg onload=alert(1)>",
    "javascript:x",
]


async def test_pages_carry_headers_that_forbid_foreign_scripts_and_frames(harness):
    async with open_gallery(harness) as gallery, gallery.visitor() as ben:
        for path in ("/", "/mine", "/find", "/p/0123456789ab-0", "/static/app.js", "/api/me", "/nothing"):
            answer = await ben.get(path)
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Cache-Control"] == "private, no-cache"


async def test_the_pages_own_files_are_fetched_once(harness):
    async with open_gallery(harness) as gallery, gallery.visitor() as ben:
        pages = [(await ben.get(path)).text for path in ("/", "/mine")]
        for name in ("app.js", "gallery.css", "mark.svg"):
            addresses = {address for text in pages for address in re.findall(rf'"(/static/[^"]*{name})"', text)}
            (address,) = addresses
            assert (await ben.get(address)).headers["Cache-Control"] == "private, max-age=31536000, immutable"
            other = address.replace(address.split("/")[2], "0" * 12)  # as a page asks that was opened before an update
            answer = await ben.get(other)
            assert (answer.status, answer.headers["Cache-Control"]) == (200, "private, no-cache")


async def test_an_update_on_the_disk_is_served_after_the_next_start(harness, monkeypatch, tmp_path):
    folder = shutil.copytree(server.STATIC_FOLDER, tmp_path / "static")
    monkeypatch.setattr(server, "STATIC_FOLDER", folder)

    async def script() -> tuple[str, str]:
        page = (await ben.get("/")).text
        (address,) = re.findall(r'"(/static/[^"]*app[.]js)"', page)
        answer = await ben.get(address)
        assert "immutable" in answer.headers["Cache-Control"]
        return address, answer.text

    async with open_gallery(harness) as gallery, gallery.visitor() as ben:
        before = await script()
        (folder / "app.js").write_text("updated", encoding="utf-8")
        assert await script() == before
    async with open_gallery(harness) as gallery, gallery.visitor() as ben:
        address, text = await script()
        assert address != before[0]
        assert text == "updated"


async def test_another_host_is_refused(harness):
    async with open_gallery(harness) as gallery, gallery.visitor() as ben:
        for host in ("evil.example", "127.0.0.1", "127.0.0.1:1", "localhost"):
            assert (await ben.get("/", headers={"Host": host})).status == 421, host


async def test_a_request_of_another_site_is_refused(harness):
    async with open_gallery(harness) as gallery, gallery.visitor() as ben:
        await ben.log_in(harness.ben)
        for path in ("/logout", "/api/favourite", "/api/delete", "/api/find", "/zip"):
            evil = {"Origin": "https://evil.example"}
            assert (await ben.post(path, headers=evil)).status == 403, path
            assert (await ben.post(path, headers={"Origin": "null"})).status == 403, path
            assert (await ben.post(path, headers={"Sec-Fetch-Site": "cross-site"})).status == 403, path
            assert (await ben.post(path, headers={"Sec-Fetch-Site": "same-site"})).status == 403, path
            assert (await ben._send("POST", path, headers={"X-Atelier-CSRF": ben.csrf})).status == 403, path
            wrong = await ben.post(path, headers={"X-Atelier-CSRF": "wrong"}, data={"csrf": "wrong", "tiles": "x"})
            assert wrong.status in (400, 403), path
            assert (await ben.json("/api/me"))["person"] is not None, path


async def test_data_and_pictures_are_closed_to_other_sites_but_links_work(harness):
    async with open_gallery(harness) as gallery, gallery.visitor() as ben:
        tile, _ = await gallery.draw("a fox")
        await ben.log_in(harness.ben)
        embedded = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
        assert (await ben.get(f"/pictures/{tile}.png", headers=embedded)).status == 403
        assert (await ben.get("/api/me", headers=embedded)).status == 403
        linked = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
        assert (await ben.get(f"/p/{tile}", headers=linked)).status == 200


ODD_PATHS = (
    "/static/..%2fserver.py",
    "/static/%2e%2e/server.py",
    "/static/../server.py",
    "/thumbnails/..%2f..%2fatelier.sqlite3",
    "/pictures/0123456789ab-0.png%2f..",
    "/thumbnails/0123456789ab-9.webp",
    "/api/pictures?guild=x",
    "/api/pictures?guild=1&before=x",
    "/api/tree/xyz",
)


async def test_odd_paths_and_values_are_refused(harness):
    async with open_gallery(harness, login=False) as gallery, gallery.visitor() as ben:
        for path in ODD_PATHS:
            answer = await ben.get(path)
            assert answer.status in (400, 403, 404), path
            assert b"import" not in answer.body, path


async def test_malformed_bodies_are_refused(harness):
    async with open_gallery(harness) as gallery, gallery.visitor() as ben:
        await ben.log_in(harness.ben)
        for body in (b"", b"[]", b"{", b'{"tile": "../../x", "on": true}', b'{"tile": null}', b"\xff"):
            assert (await ben.post("/api/favourite", data=body)).status in (400, 404, 422), body


async def test_prompts_and_names_reach_the_pages_as_data_only(harness):
    async with open_gallery(harness) as gallery, gallery.visitor() as ben:
        await ben.log_in(harness.ben)
        for script in SCRIPTS:
            tile, _ = await gallery.draw(f"a fox {script}")
            answer = await ben.get(f"/api/pictures/{tile}")
            assert answer.headers["Content-Type"].startswith("application/json")
            assert script in json.loads(answer.body)["prompt"]
            page = await ben.get(f"/p/{tile}")
            assert script not in page.text


async def test_search_text_is_never_query_syntax(harness):
    async with open_gallery(harness) as gallery, gallery.visitor() as ben:
        await gallery.draw("a fox")
        await ben.log_in(harness.ben)
        for typed in ('" OR 1', "fox*)(", "NEAR(", 'place:"g1"', "fox AND", "^fox", "by:", "since:soon", "by:%", "'"):
            answer = await ben.get("/api/pictures", params={"guild": str(harness.guild.id), "q": typed})
            assert answer.status in (200, 422), typed


async def raw(gallery, head, body=b""):
    """Send a request by hand and return the connection; the body may stay unfinished."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gallery.port)
    writer.write(f"{head}\r\nHost: 127.0.0.1:{gallery.port}\r\nOrigin: {gallery.url}\r\n".encode() + body)
    await writer.drain()
    return reader, writer


async def test_no_body_of_a_stranger_is_read(harness):
    async with open_gallery(harness) as gallery:
        body = b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 9999999\r\n\r\na&a&"
        for path in ("/zip", "/api/delete", "/api/favourite", "/api/find", "/logout"):
            reader, writer = await raw(gallery, f"POST {path} HTTP/1.1", body)
            async with asyncio.timeout(TIMEOUT_S):
                assert (await reader.readline()).split()[1] == b"401", path
            writer.close()


async def test_only_a_picture_may_be_large(harness):
    async with open_gallery(harness) as gallery, gallery.visitor() as ben:
        await ben.log_in(harness.ben)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        for path in ("/zip", "/api/delete", "/api/favourite"):
            assert (await ben.post(path, data=io.BytesIO(b"a&" * 2**20), headers=headers)).status == 413, path
        assert (await ben.post(f"/api/find?guild={harness.guild.id}", data=io.BytesIO(b"a" * 2**20))).status == 422
        assert (await ben.post(f"/api/find?guild={harness.guild.id}", data=io.BytesIO(b"a" * 26 * 2**20))).status == 413


async def test_slow_uploads_of_one_person_stop_nobody_else(harness):
    async with open_gallery(harness) as gallery, gallery.visitor() as ada, gallery.visitor() as ben:
        await gallery.draw("a fox")
        await ada.log_in(harness.ada)
        await ben.log_in(harness.ben)
        path = f"/api/find?guild={harness.guild.id}"
        (cookie,) = [f"{each.key}={each.value}" for each in ben.http.cookie_jar if each.key == "atelier"]
        head = f"Cookie: {cookie}\r\nX-Atelier-CSRF: {ben.csrf}\r\nContent-Length: 100000\r\n\r\n".encode()
        slow = [await raw(gallery, f"POST {path} HTTP/1.1", head + b"slow") for _ in range(4)]
        answers = [asyncio.create_task(reader.readline()) for reader, _ in slow]
        await eventually(lambda: sum(each.done() for each in answers) == 3)
        assert {each.result().split()[1] for each in answers if each.done()} == {b"429"}
        async with asyncio.timeout(TIMEOUT_S):
            assert (await ada.post(path, data=b"no picture")).status == 422
        for _, writer in slow:
            writer.close()
        await asyncio.wait(answers)


async def test_an_upload_that_takes_too_long_is_given_up(harness, monkeypatch):
    monkeypatch.setattr("bot.gallery.actions.UPLOAD_TIMEOUT_S", 0.1)
    async with open_gallery(harness, login=False) as gallery:
        head = b"Content-Length: 100000\r\n\r\nslow"
        reader, writer = await raw(gallery, f"POST /api/find?guild={harness.guild.id} HTTP/1.1", head)
        async with asyncio.timeout(TIMEOUT_S):
            assert (await reader.readline()).split()[1] == b"408"
        writer.close()


async def test_the_connections_are_limited(harness, monkeypatch):
    monkeypatch.setattr("bot.gallery.server.MAX_CONNECTIONS", 20)
    async with open_gallery(harness, login=False) as gallery, gallery.visitor() as ben:
        idle = [await asyncio.open_connection("127.0.0.1", gallery.port) for _ in range(60)]
        ended = [asyncio.create_task(reader.read()) for reader, _ in idle]
        await eventually(lambda: sum(each.done() for each in ended) >= 35)
        assert not all(each.done() for each in ended)
        for _, writer in idle:
            writer.close()
        await asyncio.wait(ended)
        assert (await ben.get("/")).status == 200


async def test_idle_connections_are_closed(harness, monkeypatch):
    monkeypatch.setattr("bot.gallery.server.IDLE_S", 0.2)
    async with open_gallery(harness, login=False) as gallery:
        silent, half = [await asyncio.open_connection("127.0.0.1", gallery.port) for _ in range(2)]
        half[1].write(b"GET / HTTP/1.1\r\nHost: ")
        for reader, writer in (silent, half):
            async with asyncio.timeout(TIMEOUT_S):
                assert await reader.read() == b""
            writer.close()


async def test_a_body_that_takes_too_long_is_given_up(harness, monkeypatch):
    monkeypatch.setattr("bot.gallery.actions.BODY_TIMEOUT_S", 0.1)
    async with open_gallery(harness, login=False) as gallery:
        head = b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\n\r\ntiles"
        reader, writer = await raw(gallery, "POST /zip HTTP/1.1", head)
        async with asyncio.timeout(TIMEOUT_S):
            assert (await reader.readline()).split()[1] == b"408"
        writer.close()


async def test_a_browser_that_goes_during_a_zip_is_no_error(harness, caplog):
    async with open_gallery(harness, login=False) as gallery:
        tile, _ = await gallery.draw("a fox")
        body = f"tiles={tile}".encode()
        head = b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n" % len(body)
        with pytest.MonkeyPatch.context() as patch:

            async def endless(*_):
                while True:
                    yield bytes(2**20)

            patch.setattr("bot.gallery.actions.stream_zip", endless)
            reader, writer = await raw(gallery, "POST /zip HTTP/1.1", head + body)
            assert (await reader.readline()).split()[1] == b"200"
            writer.transport.abort()
            await asyncio.sleep(0.3)
        assert "failed on" not in caplog.text


async def test_the_family_does_not_name_a_private_picture(harness):
    async with open_gallery(harness) as gallery, gallery.visitor() as ada, gallery.visitor() as ben:
        tile, message = await gallery.draw("a fox")
        await harness.person(harness.ben).press(message, "V1")
        child = await harness.result(text="Variations")
        job_id = child.buttons[0]["custom_id"].partition(":")[2][:12]
        await gallery.services.db.connection.write("UPDATE jobs SET private = 1 WHERE id = :id", {"id": job_id})
        await gallery.services.db.connection.write("DELETE FROM shown WHERE job_id = :id", {"id": job_id})
        await ada.log_in(harness.ada)
        await ben.log_in(harness.ben)
        assert [tile.job_id, job_id] in (await ben.json(f"/api/tree/{tile.job_id}"))["edges"]
        family = await ada.json(f"/api/tree/{tile.job_id}")
        assert family["hidden"] == 1
        assert job_id not in json.dumps(family)
