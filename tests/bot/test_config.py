"""Settings have defaults, and wrong values are refused by name."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.config import _PARSERS, Config, ConfigError, describe_misspelt, env_name, secret_variables
from generation.models.model import EMBEDDED

SECRET = "MTA0Nz.G1x2.s3cr3t"
STORYBOOK_AND_TWO_MORE = ("storybook", str(Path.home() / "models" / "one"), "/a/b c.safetensors")


def test_missing_settings_have_their_defaults():
    assert Config.read({}) == Config()
    assert Config().discord_api_url == "https://discord.com/api/v10"
    assert Config().models == (EMBEDDED,)


def test_every_setting_whose_name_says_so_is_a_secret_that_is_not_printed():
    words = "TOKEN", "SECRET", "KEY", "CERTIFICATE", "PASSWORD"
    named = {env_name(name) for name in Config.__dataclass_fields__ if any(word in env_name(name) for word in words)}
    assert named == set(secret_variables())
    assert "hidden" not in repr(Config(discord_client_secret="hidden", signing_key=Path("hidden")))


@pytest.mark.parametrize("empty", ["", " ", "\t\n"])
def test_an_empty_value_counts_as_missing(empty):
    assert Config.read({env_name(name): empty for name in Config.__dataclass_fields__}) == Config()


def test_variables_of_other_programs_and_in_lower_case_are_ignored():
    assert Config.read({"PATH": "/bin", "discord_token": SECRET, "THREADS_": "x"}) == Config()


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("DISCORD_TOKEN", f" {SECRET}\n", SECRET),
        ("DISCORD_API_URL", "http://127.0.0.1:8123/api/v10", "http://127.0.0.1:8123/api/v10"),
        ("DISCORD_API_URL", "http://[::1]:8123/api/v10/", "http://[::1]:8123/api/v10"),
        ("DISCORD_API_URL", " https://proxy.example/api/v10// ", "https://proxy.example/api/v10"),
        ("DATA_DIR", "/srv/atelier data", Path("/srv/atelier data")),
        ("DATA_DIR", "~/atelier", Path.home() / "atelier"),
        ("MODEL", "stable-diffusion-v1-5/stable-diffusion-v1-5", ("stable-diffusion-v1-5/stable-diffusion-v1-5",)),
        ("MODEL", "./my models/one", ("./my models/one",)),
        ("MODEL", "storybook, ~/models/one,,/a/b c.safetensors ,", STORYBOOK_AND_TWO_MORE),
        ("LORAS", "/srv/loras", Path("/srv/loras")),
        ("EMBEDDINGS", "~/words", Path.home() / "words"),
        ("CONTROLS", "/srv/controls", Path("/srv/controls")),
        ("IMAGE_ADAPTERS", "/srv/images", Path("/srv/images")),
        ("DEVICE", "CPU", "cpu"),
        ("DEVICE", "auto", "auto"),
        ("DEVICE", "cuda", "cuda"),
        ("DEVICE", "cuda:1", "cuda:1"),
        ("DEVICE", "mps", "mps"),
        ("DEVICE", "All", "all"),
        ("DEVICE", "cuda:0, CUDA:01", "cuda:0,cuda:1"),
        ("DEVICE", "cpu,cpu", "cpu,cpu"),
        ("THREADS", "0", 0),
        ("THREADS", "16", 16),
        ("JOBS_AT_ONCE", "0", 0),
        ("JOBS_AT_ONCE", "6", 6),
        ("RUNNING_PER_PERSON", "007", 7),
        ("WAITING_PER_PERSON", "1", 1),
        ("WAITING_IN_ALL", "100000", 100_000),
        ("STEP_TIMEOUT", "600", 600),
        ("ALLOWED_GUILDS", "1441155180072407040", frozenset({1441155180072407040})),
        ("ALLOWED_GUILDS", " 175928847299117063,1441155180072407040 ,", {175928847299117063, 1441155180072407040}),
        ("MODEL_MEMORY", "12 GiB", 12 * 2**30),
        ("MODEL_MEMORY", "6gb", 6 * 10**9),
        ("MODEL_MEMORY", "1.5 GiB", 3 * 2**29),
        ("MODEL_MEMORY", "512MiB", 2**29),
        ("MODEL_MEMORY", "0", 0),
        ("RETENTION_DAYS", "30", 30),
        ("RETENTION_DAYS", "0", 0),
        ("METRICS_PORT", "9464", 9464),
        ("COMPILE", "yes", True),
        ("PICTURES_WITHOUT_PROMPTS", "YES", True),
        ("PICTURES_WITHOUT_PROMPTS", "no", False),
        ("SIGNING_CERTIFICATE", "Generated", "generated"),
        ("SIGNING_CERTIFICATE", "~/chain.pem", str(Path.home() / "chain.pem")),
        ("SIGNING_KEY", "~/key.pem", Path.home() / "key.pem"),
        ("LOG_LEVEL", "debug", "DEBUG"),
        ("LOG_FORMAT", "JSON", "json"),
    ],
)
def test_a_setting_is_read(name, text, value):
    config = Config.read({name: text})
    field = next(field for field in Config.__dataclass_fields__ if env_name(field) == name)
    assert getattr(config, field) == value
    assert [other for other in Config.__dataclass_fields__ if getattr(config, other) != getattr(Config(), other)] in (
        [field],
        [],  # where the value is the default
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("DISCORD_TOKEN", "Bot abc"),
        ("DISCORD_TOKEN", "abc\ndef"),
        ("DISCORD_TOKEN", "абв"),
        ("DISCORD_API_URL", "discord.com/api"),
        ("DISCORD_API_URL", "ftp://discord.com"),
        ("DISCORD_API_URL", "http://"),
        ("DISCORD_API_URL", "http:///api"),
        ("DISCORD_API_URL", "http://[::1/api"),
        ("DISCORD_API_URL", "http://localhost:port/api"),
        ("DISCORD_API_URL", "http://localhost:99999/api"),
        ("DISCORD_API_URL", "http://localhost:0/api"),
        ("DISCORD_API_URL", "http://local host/api"),
        ("DISCORD_API_URL", "http://localhost/a b"),
        ("DATA_DIR", "~nobody-of-that-name/atelier"),
        ("MODEL", "~nobody-of-that-name/model"),
        ("MODEL", "storybook, ~nobody-of-that-name/model"),
        ("MODEL", "storybook,openjourney, storybook"),
        ("MODEL", ","),
        ("MODEL_MEMORY", "12"),
        ("MODEL_MEMORY", "lots"),
        ("MODEL_MEMORY", "-1 GiB"),
        ("MODEL_MEMORY", "12 GiB, 3 GiB"),
        ("MODEL_MEMORY", "1 gıb"),
        ("DEVICE", "gpu"),
        ("DEVICE", "cuda:"),
        ("DEVICE", "cuda:one"),
        ("DEVICE", "cpu:0"),
        *(
            (name, text)
            for name in ("RUNNING_PER_PERSON", "WAITING_PER_PERSON", "WAITING_IN_ALL")
            for text in ("0", "-1")
        ),
        ("WAITING_IN_ALL", "many"),
        ("WAITING_IN_ALL", "1e3"),
        ("WAITING_IN_ALL", "1_000"),
        ("WAITING_IN_ALL", "²"),
        ("STEP_TIMEOUT", "0"),
        ("STEP_TIMEOUT", "1.5"),
        ("STEP_TIMEOUT", "9" * 5000),
        ("JOBS_AT_ONCE", "-1"),
        ("THREADS", "-1"),
        ("THREADS", "1025"),
        ("THREADS", "0x10"),
        ("ALLOWED_GUILDS", "Studio"),
        ("ALLOWED_GUILDS", "17"),
        ("ALLOWED_GUILDS", "-175928847299117063"),
        ("ALLOWED_GUILDS", "175928847299117063;1441155180072407040"),
        ("RETENTION_DAYS", "-1"),
        ("RETENTION_DAYS", "for ever"),
        ("METRICS_PORT", "65536"),
        ("LOG_FORMAT", "xml"),
        ("PICTURES_WITHOUT_PROMPTS", "maybe"),
        ("PICTURES_WITHOUT_PROMPTS", "1"),
        ("SIGNING_CERTIFICATE", "~nobody-of-that-name/chain.pem"),
        ("SIGNING_KEY", "~nobody-of-that-name/key.pem"),
        ("LOG_LEVEL", "LOUD"),
        ("LOG_LEVEL", "10"),
        ("DEVICE", "cuda:0,"),
        ("DEVICE", ","),
        ("DEVICE", "cuda:0,,cuda:1"),
        ("DEVICE", "cpu,cuda"),
        ("DEVICE", "cpu,cuda:0"),
        ("DEVICE", "cuda,cuda:1"),
        ("DEVICE", "all,cuda:1"),
        ("DEVICE", "mps,mps"),
        ("DEVICE", "cuda:1,cuda:1"),
        ("DEVICE", "cuda:1,cuda:01"),
        ("DEVICE", "cuda:0;cuda:1"),
    ],
)
def test_a_wrong_value_is_refused_with_the_name_of_the_setting(name, text):
    with pytest.raises(ConfigError, match=rf"^{name}\b") as refused:
        Config.read({name: text})
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        ("http://127.0.0.1:4870/api/v10", "http://127.0.0.1:4870"),
        ("http://[::1]:4870/api/v10", "http://[::1]:4870"),
        ("https://discord.com/api/v10", None),
        ("https://proxy.example/api/v10", None),
        ("http://10.0.0.7:3000/api/v10", None),
        ("http://127.0.0.1.proxy.example/api/v10", None),
    ],
)
def test_only_a_discord_on_this_machine_is_a_fake_one(address, origin):
    assert Config.read({"DISCORD_API_URL": address}).fake_discord_origin == origin


@pytest.mark.parametrize("name", sorted(Config.__dataclass_fields__))
@given(text=st.text(max_size=40))
def test_any_value_is_read_or_refused_with_its_name(name, text):
    try:
        Config.read({env_name(name): text})
    except ConfigError as error:
        assert str(error).startswith(env_name(name))


@pytest.mark.parametrize("token", [SECRET, SECRET + " x"])
def test_the_token_is_neither_shown_nor_part_of_an_error(token):
    try:
        shown = repr(Config.read({"DISCORD_TOKEN": token}))
    except ConfigError as error:
        shown = str(error)
    assert "s3cr3t" not in shown


def test_every_setting_has_a_reader():
    assert _PARSERS.keys() == Config.__dataclass_fields__.keys()


def test_settings_cannot_be_changed_later():
    with pytest.raises(FrozenInstanceError):
        Config().threads = 3


def test_a_misspelt_name_is_told_and_names_of_other_programs_are_not():
    names = [
        "RETENTION_DAY",
        "MODELS",
        "discord_token",
        "HF_HOME",
        "HF_TOKEN",
        "ATELIER_TORCH",
        "DATABASE_URL",
        "DEVICE",
    ]
    told = describe_misspelt(names)
    assert told == [
        "RETENTION_DAY is not a setting: did you mean RETENTION_DAYS?",
        "MODELS is not a setting: did you mean MODEL?",
        "discord_token is not a setting: did you mean DISCORD_TOKEN?",
    ]


def test_the_example_of_an_address_fits_its_setting():
    with pytest.raises(ConfigError, match=r"such as https://pictures\.example\.org"):
        Config.read({"GALLERY_URL": "pictures"})


def test_all_wrong_settings_are_told_at_once():
    with pytest.raises(ConfigError) as raised:
        Config.read({"DEVICE": "gpu", "THREADS": "many", "METRICS_PORT": "1", "COMPILE": "perhaps"})
    assert len(raised.value.problems) == 3
    assert str(raised.value).startswith("3 settings are wrong:")
    assert all(name in str(raised.value) for name in ("DEVICE", "THREADS", "COMPILE"))


def test_a_wrong_setting_has_its_default_where_the_others_are_looked_at():
    config, problems = Config.read_leniently({"DEVICE": "gpu", "THREADS": "3"})
    assert (config.device, config.threads, len(problems)) == ("auto", 3, 1)
