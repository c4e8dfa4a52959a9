"""The login with Discord, whole: from the gallery to the fake Discord and back, and every way to abuse it."""

from __future__ import annotations

from http.cookies import SimpleCookie

import pytest
from yarl import URL

from bot.config import Config, ConfigError
from bot.gallery.security import is_local_path
from bot.gallery.server import GalleryServer, require_login_settings
from bot.gallery.sessions import LIFETIME_S
from tests.support.gallery import open_gallery


async def start(visitor, **query):
    """Begin a login and return Discord's address."""
    answer = await visitor.get("/login", params=query)
    assert answer.status == 302
    return URL(answer.headers["Location"])


async def agree(visitor, url, user):
    """Agree at the fake Discord and return the address that leads back."""
    form = dict(url.query) | {"user": str(user.id) if user else ""}
    async with visitor.http.post(url.with_query(None), data=form, allow_redirects=False) as answer:
        return URL(answer.headers["Location"])


async def finish(visitor, url):
    return await visitor.get(str(url.relative()))


async def test_a_visitor_logs_in_and_out(harness):
    async with open_gallery(harness) as gallery, gallery.visitor() as ben:
        url = await start(ben, next="/mine?kind=private")
        assert url.query["scope"] == "identify guilds"
        assert (await ben.get("/api/me")).text.count('"person": null') == 1
        done = await finish(ben, await agree(ben, url, harness.ben))
        assert (done.status, done.headers["Location"]) == (302, "/mine?kind=private")
        me = await ben.json("/api/me")
        assert me["person"] == {"id": str(harness.ben.id), "name": "ben"}
        assert [guild["name"] for guild in me["guilds"]] == ["Studio"]
        assert harness.server.core.logins.tokens == {}, "the token is given back"
        ben.csrf = me["csrf"]
        assert (await ben.post("/logout")).status == 200
        assert (await ben.json("/api/me"))["person"] is None
        assert (await ben.get("/api/mine")).status == 401


async def test_a_refused_login_leads_back(harness):
    async with open_gallery(harness) as gallery, gallery.visitor() as ben:
        done = await finish(ben, await agree(ben, await start(ben), None))
        assert (done.status, done.headers["Location"]) == (302, "/?login=refused")


async def test_the_cookie_is_new_at_each_login_and_closed_to_scripts(harness):
    async with open_gallery(harness) as gallery, gallery.visitor() as ben:
        ben.http.cookie_jar.update_cookies({"atelier": "planted"}, URL(gallery.url))
        back = await agree(ben, await start(ben), harness.ben)
        done = await finish(ben, back)
        cookies = SimpleCookie("; ".join(value for name, value in done.headers.items() if name == "Set-Cookie"))
        assert cookies["atelier"].value != "planted"
        assert len(cookies["atelier"].value) > 40
        set_cookie = next(
            value
            for name, value in done.headers.items()
            if name == "Set-Cookie" and "atelier=" in value and "Max" in value
        )
        assert "HttpOnly" in set_cookie
        assert "SameSite=Lax" in set_cookie


@pytest.mark.parametrize("change", ["another browser", "no state", "code twice", "foreign code", "late"])
async def test_a_login_that_was_tampered_with_is_refused(harness, change):
    async with open_gallery(harness) as gallery, gallery.visitor() as ben, gallery.visitor() as eve:
        back = await agree(ben, await start(ben), harness.ben)
        if change == "another browser":  # somebody is lured into another account
            assert (await finish(eve, back)).status == 400
        if change == "no state":
            assert (await finish(ben, back.without_query_params("state"))).status == 400
        if change == "code twice":
            assert (await finish(ben, back)).status == 302
            assert (await finish(ben, back)).status == 400
            state = (await start(ben)).query["state"]
            assert (await finish(ben, back.update_query(state=state))).status == 502
        if change == "foreign code":  # PKCE: a stolen code is worth nothing in another login
            state = (await start(eve)).query["state"]
            assert (await finish(eve, back.update_query(state=state))).status == 502
        if change == "late":
            harness.server.world.clock.advance(3600)
            assert (await finish(ben, back)).status == 400
        assert (await eve.json("/api/me"))["person"] is None


async def test_a_login_never_leads_to_another_site(harness):
    elsewhere = ("//evil.example", "/\\evil.example", "https://evil.example", "javascript:alert(1)", "/\t/evil", "")
    async with open_gallery(harness) as gallery, gallery.visitor() as ben:
        for target in elsewhere:
            done = await finish(ben, await agree(ben, await start(ben, next=target), harness.ben))
            assert done.headers["Location"] == "/", target


def test_local_addresses_are_recognised():
    assert is_local_path("/p/0123456789ab-1?x=//y")
    assert not any(map(is_local_path, ("//x", "/\\x", "x", "", "/a\nb", "/ok\\..", "http:/x")))


async def test_a_session_expires_and_a_made_up_one_is_none(harness):
    async with open_gallery(harness) as gallery, gallery.visitor() as ben, gallery.visitor() as eve:
        await ben.log_in(harness.ben)
        eve.http.cookie_jar.update_cookies({"atelier": "guess"}, URL(gallery.url))
        assert (await eve.json("/api/me"))["person"] is None
        harness.server.world.clock.advance(LIFETIME_S + 1)
        assert (await ben.json("/api/me"))["person"] is None


async def test_discord_without_an_answer_is_reported(harness):
    async with open_gallery(harness) as gallery, gallery.visitor() as ben:
        back = await agree(ben, await start(ben), harness.ben)
        harness.server.faults.fail("GET", "/users/@me", status=503, times=9)
        done = await finish(ben, back)
        harness.server.faults.clear()
        assert done.status == 502
        assert "Try again" in done.text


async def test_a_flood_of_logins_does_not_end_another_one(harness):
    async with open_gallery(harness) as gallery, gallery.visitor() as ben, gallery.visitor() as eve:
        back = await agree(ben, await start(ben), harness.ben)
        for _ in range(1100):
            await start(eve, next=f"/{'x' * 2000}")
        assert (await finish(ben, back)).status == 302


async def test_a_pause_that_discord_asks_for_is_kept(harness):
    """Ten thousand refused requests in ten minutes shut the bot out of Discord."""
    async with open_gallery(harness) as gallery, gallery.visitor() as eve, gallery.visitor() as ben:
        harness.server.faults.fail("POST", "/oauth2/token", status=429, times=99)
        state = (await start(eve)).query["state"]
        assert (await eve.get("/login/done", params={"state": state, "code": "x"})).status == 502
        harness.server.faults.clear()
        assert (await finish(ben, await agree(ben, await start(ben), harness.ben))).status == 503
        harness.server.world.clock.advance(61)
        assert (await finish(ben, await agree(ben, await start(ben), harness.ben))).status == 302


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"gallery_url": "http://pictures.example.org", "discord_client_secret": "x"}, "https://"),
        ({"gallery_url": "https://pictures.example.org"}, "DISCORD_CLIENT_SECRET"),
        ({"gallery_url": "https://example.org/gallery", "discord_client_secret": "x"}, "whole site"),
    ],
)
def test_wrong_settings_are_named(changes, problem):
    with pytest.raises(ConfigError, match=problem):
        require_login_settings(Config(**changes))
    require_login_settings(Config())


async def test_a_public_address_gets_secure_cookies_and_its_own_host_only(harness):
    settings = {"gallery_url": "https://pictures.example.org", "discord_client_secret": "x"}
    async with harness.bot(**settings) as services:
        server = GalleryServer(services, lambda: None)
        assert server.sessions.cookie == "__Host-atelier"
        assert server._hosts() == {"pictures.example.org"}
