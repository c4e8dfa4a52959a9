"""Every broken rule in a request body is found, by the validation rules or by Discord's OpenAPI file."""

import copy

import pytest

from preview.validation import callbacks as callback_rules
from preview.validation import commands as command_rules
from preview.validation import components as component_rules
from preview.validation.openapi import OpenApi

BUTTON = {"type": 2, "style": 1, "label": "U1", "custom_id": "u:1"}
LINK = {"type": 2, "style": 5, "label": "site", "url": "https://example.org"}
TEXT = {"type": 10, "content": "x"}
SLASH = {"name": "imagine", "description": "Draw", "options": []}
OPTION = {"type": 3, "name": "prompt", "description": "What"}
INPUT = {"type": 18, "label": "Prompt", "component": {"type": 4, "style": 1, "custom_id": "p"}}
MODAL = {"title": "Remix", "custom_id": "m", "components": [INPUT]}
V2 = 1 << 15
MESSAGES, COMMANDS = "/channels/1/messages", "/applications/1/commands"
CALLBACK = "/interactions/1/token/callback"


def row(*children, **more):
    return {"type": 1, "components": list(children)} | more


def option(**more):
    return OPTION | more


def message(**body):
    return "POST", MESSAGES, body


def slash(**more):
    return "PUT", COMMANDS, [SLASH | more]


def callback(kind, **data):
    return "POST", CALLBACK, {"type": kind, "data": data}


def buttons(count):
    return [BUTTON | {"custom_id": str(n)} for n in range(count)]


def fields(count):
    return [INPUT | {"component": INPUT["component"] | {"custom_id": str(n)}} for n in range(count)]


# Violations that Discord's OpenAPI file cannot express.
CROSS_FIELD_VIOLATIONS = {
    "six legacy rows": message(components=[row(each) for each in buttons(6)]),
    "a custom_id twice": message(components=[row(BUTTON, BUTTON)]),
    "a button without custom_id": message(components=[row({"type": 2, "style": 1, "label": "x"})]),
    "a link with custom_id": message(components=[row(LINK | {"custom_id": "x"})]),
    "content with the V2 flag": message(flags=V2, content="x", components=[TEXT]),
    "a V2 component without the flag": message(components=[TEXT]),
    "more than 40 nested": message(
        flags=V2, components=[{"type": 17, "components": [row(*buttons(5)[:4])] * 8 + [TEXT] * 9}]
    ),
    "embeds of more than 6000": message(embeds=[{"description": "x" * 4000}, {"description": "x" * 2001}]),
    "a deferral with content": callback(5, content="x"),
    "six parts of a modal": callback(9, **MODAL | {"components": fields(6)}),
    "a name in upper case": slash(name="Imagine"),
    "a name with a space": slash(name="imagine this"),
    "a slash command without description": ("PUT", COMMANDS, [{"name": "imagine", "type": 1}]),
    "required after optional": slash(options=[option(name="a"), option(name="b", required=True)]),
    "more than 8000 characters": slash(
        options=[
            option(name=f"o{n}", choices=[{"name": f"{m}" + "n" * 90, "value": "v" * 90} for m in range(12)])
            for n in range(4)
        ]
    ),
    "autocompletion with choices": slash(options=[option(autocomplete=True, choices=[{"name": "a", "value": "a"}])]),
    "a translation of a choice that is too long": slash(
        options=[option(choices=[{"name": "a", "value": "a", "name_localizations": {"de": "x" * 101}}])]
    ),
    "an option name that is too long in German": slash(options=[option(name_localizations={"de": "x" * 33})]),
    "an unknown locale": slash(name_localizations={"xx": "imagine"}),
    "a select beside a button": message(components=[row(BUTTON, {"type": 5, "custom_id": "s"})]),
    "a link without url": message(components=[row({"type": 2, "style": 5, "label": "x"})]),
    "a button that says nothing": message(components=[row({"type": 2, "style": 1, "custom_id": "x"})]),
    "a word as an emoji": message(components=[row(BUTTON | {"emoji": {"name": "redo"}})]),
    "a bare button": message(components=[BUTTON]),
    "a container in a container": message(
        flags=V2, components=[{"type": 17, "components": [{"type": 17, "components": [TEXT]}]}]
    ),
    "more than 4000 of text": message(flags=V2, components=[TEXT | {"content": "x" * 2001}] * 2),
    "content of 2001": message(content="x" * 2001),
    "users parsed and listed": message(content="x", allowed_mentions={"parse": ["users"], "users": ["1"]}),
    "an option twice": slash(options=[OPTION, OPTION]),
    "a command twice": ("PUT", COMMANDS, [SLASH, SLASH]),
    "101 commands": ("PUT", COMMANDS, [SLASH | {"name": f"c{n}"} for n in range(101)]),
    "16 message menus": ("PUT", COMMANDS, [{"name": f"Menu {n}", "type": 3} for n in range(16)]),
    "a menu with a description": ("PUT", COMMANDS, [{"name": "Menu", "type": 3, "description": "x"}]),
    "subcommands beside options": slash(options=[OPTION, {"type": 1, "name": "sub", "description": "x"}]),
    "a disabled field in a modal": callback(
        9, **MODAL | {"components": [INPUT | {"component": INPUT["component"] | {"disabled": True}}]}
    ),
    "a button in a modal": callback(9, **MODAL | {"components": [row(BUTTON)]}),
    "a deferral with the V2 flag": callback(5, flags=V2),
    "26 choices of an autocompletion": callback(8, choices=[{"name": str(n), "value": str(n)} for n in range(26)]),
}

# Violations of the OpenAPI file.
SCHEMA_VIOLATIONS = {
    "a long title": message(embeds=[{"title": "x" * 257}]),
    "eleven embeds": message(embeds=[{"title": "x"}] * 11),
    "26 fields": message(embeds=[{"fields": [{"name": "a", "value": "b"}] * 26}]),
    "a long label": message(components=[row(BUTTON | {"label": "x" * 81})]),
    "a long custom_id": message(components=[row(BUTTON | {"custom_id": "x" * 101})]),
    "six buttons in a row": message(components=[row(*buttons(6))]),
    "26 options of a select": message(
        components=[
            row({"type": 3, "custom_id": "s", "options": [{"label": f"{n}", "value": f"{n}"} for n in range(26)]})
        ]
    ),
    "an unknown style": message(components=[row(BUTTON | {"style": 9})]),
    "a misspelt field": message(contents="x"),
    "a misspelt field inside": message(components=[row(BUTTON | {"disable": True})]),
    "content that is no text": message(content=["x"]),
    "embeds that are no list": message(embeds={"title": "x"}),
    "a colour out of range": message(embeds=[{"color": 1 << 24}]),
    "eleven attachments": message(attachments=[{"id": n} for n in range(11)]),
    "a long modal title": callback(9, **MODAL | {"title": "x" * 46}),
    "a modal without title": callback(9, custom_id="m", components=[INPUT]),
    "an unknown callback": callback(99),
    "26 options of a command": slash(options=[option(name=f"o{n}") for n in range(26)]),
    "a long description": slash(description="x" * 101),
    "26 choices": slash(options=[option(choices=[{"name": str(n), "value": str(n)} for n in range(26)])]),
    "an unknown option type": slash(options=[option(type=12)]),
    "a path that is not there": ("POST", "/channels/1/mesages", {"content": "x"}),
}

VALID_PAYLOADS = {
    "a plain message": message(content="x" * 2000, components=[row(*buttons(4), LINK)], nonce="123", tts=False),
    "Components V2": message(
        flags=V2,
        components=[
            {"type": 17, "accent_color": 3, "components": [{"type": 9, "components": [TEXT], "accessory": BUTTON}]},
            {"type": 12, "items": [{"media": {"url": "attachment://a.png"}, "description": "x" * 1024}]},
            {"type": 14, "divider": False, "spacing": 2},
        ],
        attachments=[{"id": 0, "filename": "a.png", "description": "x"}],
    ),
    "embeds of 6000": message(embeds=[{"description": "x" * 4000}, {"description": "x" * 2000}]),
    "a deferral": callback(5, flags=64),
    "a modal": callback(9, **MODAL),
    "commands": (
        "PUT",
        COMMANDS,
        [
            SLASH
            | {
                "options": [option(required=True), option(type=4, name="steps", min_value=1, max_value=50)],
                "name_localizations": {"de": "zeichne", "th": "วาด"},
                "nsfw": False,
                "contexts": None,
                "integration_types": None,
            },
            {"name": "Describe This", "type": 3},
        ],
    ),
    "a long translation of a choice": slash(
        options=[option(choices=[{"name": "a", "value": "a", "name_localizations": {"de": "x" * 100}}])]
    ),
    "an edit": (
        "PATCH",
        MESSAGES + "/2",
        {"content": None, "tts": False, "attachments": [{"id": "1", "filename": "a"}]},
    ),
}


def broken_rules(method, path, body):
    if path == COMMANDS:
        return command_rules.check_commands(body)
    if path == CALLBACK:
        return callback_rules.check_callback(body)
    return component_rules.check_message(body, v2=bool(body.get("flags", 0) & V2))


@pytest.mark.parametrize("case", CROSS_FIELD_VIOLATIONS.values(), ids=CROSS_FIELD_VIOLATIONS)
def test_a_body_that_breaks_a_cross_field_rule_is_found(case):
    assert broken_rules(*copy.deepcopy(case))


@pytest.fixture
def description(openapi) -> OpenApi:
    if openapi is None:
        pytest.skip("Discord's OpenAPI file is not beside the project (../shared/discord/openapi.json)")
    return OpenApi.load(openapi)


@pytest.mark.parametrize("case", SCHEMA_VIOLATIONS.values(), ids=SCHEMA_VIOLATIONS)
def test_a_body_that_breaks_the_openapi_file_is_found(case, description):
    assert description.check_request(*case)


@pytest.mark.parametrize("case", VALID_PAYLOADS.values(), ids=VALID_PAYLOADS)
def test_a_valid_body_passes(case, description):
    assert broken_rules(*case) == []
    assert description.check_request(*case) == []


def test_the_openapi_file_finds_problems_in_responses(description):
    assert description.check_response("GET", "/users/@me", 200, {"id": "1"})
    assert description.check_response("GET", "/gateway", 200, {"url": "ws://127.0.0.1"}) == []
    assert description.check_response("GET", "/gateway", 201, {})
    assert description.check_response("GET", "/gateway", 404, {"message": "x", "code": 0}) == []


async def test_a_violation_is_refused_in_discords_format_and_recorded(server, raw, scenario):
    server.openapi = None
    status, answer = await raw(
        "POST", f"/channels/{scenario.channel.id}/messages", {"components": [row(BUTTON, BUTTON)]}
    )
    assert (status, answer["code"], answer["message"]) == (400, 50035, "Invalid Form Body")
    assert answer["errors"]["components"]["_errors"][0]["code"] == "COMPONENT_CUSTOM_ID_DUPLICATED"
    (kept,) = server.violations
    assert "COMPONENT_CUSTOM_ID_DUPLICATED" in str(kept)


@pytest.mark.parametrize(
    ("edit", "path"),
    [
        ({"content": "x"}, "content"),
        ({"flags": 0, "components": [row(BUTTON)], "content": "x"}, "content"),
    ],
)
async def test_a_components_v2_message_cannot_change_back(server, raw, scenario, edit, path):
    where = f"/channels/{scenario.channel.id}/messages"
    _, sent = await raw("POST", where, {"flags": V2, "components": [TEXT]})
    status, answer = await raw("PATCH", f"{where}/{sent['id']}", edit)
    assert status == 400
    assert path in answer["errors"]
    assert server.world.messages[int(sent["id"])].text == "x"


async def test_an_embed_of_a_missing_upload_is_refused(server, raw, scenario):
    body = {"embeds": [{"image": {"url": "attachment://missing.png"}}]}
    status, _ = await raw("POST", f"/channels/{scenario.channel.id}/messages", body)
    assert status == 400
    assert server.messages(scenario.channel) == []


async def test_components_are_numbered_as_discord_numbers_them(server, raw, scenario):
    body = {"components": [row(BUTTON, LINK), row(BUTTON | {"custom_id": "other", "id": 2})]}
    _, sent = await raw("POST", f"/channels/{scenario.channel.id}/messages", body)
    numbers = [each["id"] for parent in sent["components"] for each in (parent, *parent["components"])]
    assert numbers == [1, 3, 4, 5, 2]
