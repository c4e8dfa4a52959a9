"""The doctor reports problems with fixes, changes nothing, and never hangs."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import re
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import discord
import numpy as np
import pytest
from aiohttp import web
from safetensors.numpy import save_file

from bot.config import Config
from bot.doctor import account, device, rest, result, run, storage
from bot.doctor.account import check_account
from bot.doctor.model import (
    check_classifier,
    check_describer,
    check_model,
    check_models,
    check_upscaler,
    largest_parameter_count,
)
from bot.doctor.result import CheckResult, CheckStatus, in_daemon_thread, with_timeout
from bot.doctor.storage import check_database, check_disk
from bot.instance_lock import acquire_instance_lock, is_locked
from bot.workers import find_unusable_files
from db.connection import DATABASE_FILE
from db.jobs import JobStore
from generation.models.catalogue import Family
from generation.models.model import EMBEDDED, describe_model
from preview.state import permissions
from tests.support.bot_harness import BotHarness
from tests.support.hub_cache import fake_hub_cache
from tests.support.jobs import make_job
from tests.support.timing import TIMEOUT_S

FAILED, PASSED, SKIPPED = CheckStatus.FAILED, CheckStatus.PASSED, CheckStatus.SKIPPED


def make_config(harness: BotHarness, **changes) -> Config:
    token, url = harness.server.world.application.token, harness.server.api_url
    return dataclasses.replace(
        Config(
            discord_token=token, discord_api_url=url, data_dir=harness.folder / "data", models=(str(harness.model),)
        ),
        **changes,
    )


def by_subject(results: list[CheckResult]) -> dict[str, list[CheckResult]]:
    found: dict[str, list[CheckResult]] = {}
    for each in results:
        found.setdefault(each.subject, []).append(each)
    return found


async def check_one(harness: BotHarness, subject: str, **changes) -> CheckResult:
    """Return the only result about a subject."""
    (found,) = by_subject(await check_account(make_config(harness, **changes)))[subject]
    return found


# --- the account


async def test_a_correct_setup_passes_every_account_check(harness):
    results = await check_account(make_config(harness))
    assert {each.subject for each in results} == {"token", *account.CHECKS}
    assert [each for each in results if each.status is not PASSED] == []
    assert {request.method for request in harness.server.requests} == {"GET"}
    assert not harness.server.gateway.identifies
    assert not (harness.folder / "data").exists()


async def test_without_a_token_the_fix_says_where_to_get_one(harness):
    token = await check_one(harness, "token", discord_token="")
    assert token.status is FAILED
    assert "discord.com/developers" in token.fix


async def test_after_an_invalid_token_the_checks_that_need_one_are_skipped(harness):
    found = by_subject(await check_account(make_config(harness, discord_token="old")))
    assert found.pop("token")[0].status is FAILED
    assert {each.status for results in found.values() for each in results} == {SKIPPED}


async def test_without_a_connection_the_token_check_is_skipped(harness):
    url = "http://127.0.0.1:9/api/v10"
    token = await check_one(harness, "token", discord_api_url=url)
    assert token.status is SKIPPED
    assert url in token.text


async def test_a_discord_that_never_answers_times_out(harness, monkeypatch):
    monkeypatch.setattr(rest, "REQUEST_TIMEOUT", rest.aiohttp.ClientTimeout(total=0.1))
    held = harness.server.faults.hold("GET", "/users/@me")
    token = await check_one(harness, "token")
    held.release()
    assert token.status is SKIPPED
    assert "did not answer" in token.text


@pytest.mark.parametrize(
    ("path", "subject"),
    [("/users/@me", "token"), ("/gateway/bot", "gateway"), ("/users/@me/guilds", "servers")],
)
async def test_an_error_at_discord_skips_the_check(harness, path, subject):
    harness.server.faults.fail("GET", path, status=503)
    found = await check_one(harness, subject)
    assert found.status is SKIPPED
    assert "503" in found.text


@pytest.mark.parametrize(("ahead", "status"), [(0, PASSED), (5, PASSED), (60, FAILED), (-60, FAILED)])
async def test_a_wrong_clock_fails(harness, ahead, status):
    found = by_subject(await check_account(make_config(harness), clock=lambda: time.time() + ahead))
    assert found["clock"][0].status is status


async def test_a_gateway_behind_a_firewall_fails(harness):
    harness.server.core.gateway_url = "ws://127.0.0.1:9/gateway"
    gateway = await check_one(harness, "gateway")
    assert gateway.status is FAILED
    assert "WebSockets" in gateway.fix


async def test_something_other_than_a_gateway_fails(harness):
    harness.server.core.gateway_url = harness.server.core.gateway_url.replace("/gateway", "/users")
    assert (await check_one(harness, "gateway")).status is FAILED


async def test_few_remaining_logins_fail(harness):
    few = {"total": 1000, "remaining": 3, "reset_after": 7_200_000, "max_concurrency": 1}
    body = {"url": harness.server.core.gateway_url, "shards": 1, "session_start_limit": few}
    harness.server.faults.fail("GET", "/gateway/bot", status=200, body=body)
    gateway = await check_one(harness, "gateway")
    assert gateway.status is FAILED
    assert "only 3 of 1000 logins" in gateway.text
    assert "2.0 hours" in gateway.text


@pytest.mark.parametrize(("granted", "status"), [(0, FAILED), (1 << 15, PASSED)])
async def test_an_intent_that_is_not_allowed_fails(harness, monkeypatch, granted, status):
    monkeypatch.setattr(account, "INTENTS", discord.Intents(guilds=True, message_content=True))
    harness.server.world.application.privileged_intents = granted
    found = await check_one(harness, "intents")
    assert found.status is status
    assert ("Message Content" in found.text) is (status is FAILED)


async def test_a_missing_permission_is_named(harness):
    everyone = harness.guild.roles[harness.guild.id]
    everyone.permissions &= ~(permissions.ATTACH_FILES | permissions.SEND_MESSAGES_IN_THREADS)
    servers = await check_one(harness, "servers")
    assert servers.status is FAILED
    assert "Studio: the bot lacks" in servers.text
    assert "Attach Files" in servers.text
    assert "Send Messages In Threads" in servers.text


async def test_an_administrator_lacks_nothing(harness):
    harness.guild.roles[harness.guild.id].permissions = permissions.ADMINISTRATOR
    harness.server.world.add_channel(harness.guild, "staff", bot_denied=permissions.VIEW_CHANNEL)
    assert "in every channel (2)" in (await check_one(harness, "servers")).text


async def test_channels_closed_to_the_bot_are_named_without_failing(harness):
    world = harness.server.world
    world.add_channel(harness.guild, "staff", bot_denied=permissions.VIEW_CHANNEL)
    world.add_channel(harness.guild, "rules", everyone_denied=permissions.SEND_MESSAGES)
    servers = await check_one(harness, "servers")
    assert servers.status is PASSED
    assert "#staff, #rules" in servers.text
    assert "#general" not in servers.text


async def test_a_bot_in_no_server_fails_with_an_invite_link(harness):
    del harness.guild.members[harness.server.world.bot.id]
    servers = await check_one(harness, "servers")
    assert servers.status is FAILED
    assert f"client_id={harness.server.world.application.id}" in servers.fix


async def test_the_allowlist_is_compared_with_the_servers_of_the_bot(harness):
    other = harness.server.world.add_guild("Other", harness.ada)
    found = await check_account(make_config(harness, allowed_guilds=frozenset({harness.guild.id, 175928847299117063})))
    texts = {each.text: each.status for each in by_subject(found)["servers"]}
    assert texts["the bot is not in 175928847299117063, which ALLOWED_GUILDS lists"] is FAILED
    assert texts[f"{other.name}: refused, because it is not in ALLOWED_GUILDS"] is PASSED
    assert texts["Studio: all permissions, in every channel (1)"] is PASSED


async def test_all_servers_are_checked_across_pages(harness, monkeypatch):
    monkeypatch.setattr("bot.doctor.servers.PAGE_SIZE", 2)
    for number in range(4):
        harness.server.world.add_guild(f"Guild {number}", harness.ada)
    assert len(by_subject(await check_account(make_config(harness)))["servers"]) == 5


async def test_unregistered_commands_fail_only_while_the_bot_runs(harness):
    before = await check_one(harness, "commands")
    assert (before.status, "imagine" in before.text) == (PASSED, True)
    with acquire_instance_lock(harness.folder / "data"):
        beside_a_bot = await check_one(harness, "commands")
    assert (beside_a_bot.status, "imagine" in beside_a_bot.text) == (FAILED, True)
    async with harness.bot():
        pass
    assert "are registered at Discord" in (await check_one(harness, "commands")).text


async def test_commands_lost_at_discord_are_registered_again(harness):
    async with harness.bot():
        pass
    harness.server.world.commands.clear()
    async with harness.bot():
        assert harness.server.world.commands


# --- the model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Copy the embedded model."""
    return shutil.copytree(EMBEDDED, tmp_path / "copy")


def test_the_embedded_model_is_complete():
    (found,) = check_model(EMBEDDED)
    assert found.status is PASSED
    assert "MiB of weights" in found.text


UNET = Path("unet", "diffusion_pytorch_model.safetensors")


def _truncate(model: Path) -> None:
    (model / UNET).write_bytes((model / UNET).read_bytes()[:-1])


def _pickle(model: Path) -> None:
    (model / UNET).rename(model / "unet" / "diffusion_pytorch_model.bin")


def _point(model: Path) -> None:
    (model / UNET).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")


def _rename_part(model: Path) -> None:
    index = json.loads((model / "model_index.json").read_text())
    index["transformer"] = index.pop("unet")
    (model / "model_index.json").write_text(json.dumps(index))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_truncate, "damaged"),
        (_pickle, "pickled"),
        (_point, "damaged"),
        (_rename_part, "no unet"),
        (lambda model: (model / UNET).unlink(), "is missing"),
        (lambda model: (model / "unet" / "config.json").unlink(), "has no config.json"),
        (lambda model: shutil.rmtree(model / "tokenizer"), "tokenizer.json"),
        (lambda model: shutil.rmtree(model / "scheduler"), "scheduler_config.json"),
        (lambda model: (model / "model_index.json").unlink(), "no model_index.json"),
        (lambda model: (model / "model_index.json").write_text("{"), "damaged"),
        (shutil.rmtree, "no model folder"),
    ],
)
def test_a_problem_with_a_models_files_is_reported(model, damage, message):
    damage(model)
    (found,) = check_model(str(model))
    assert found.status is FAILED
    assert message in found.text
    assert found.fix


@pytest.fixture
def xl(model: Path) -> Path:
    """Build a model with the components of SDXL."""
    index = json.loads((model / "model_index.json").read_text())
    for part in ("text_encoder", "tokenizer"):
        shutil.copytree(model / part, model / f"{part}_2")
        index[f"{part}_2"] = index[part]
    index["text_encoder_2"] = ["transformers", "CLIPTextModelWithProjection"]
    (model / "model_index.json").write_text(json.dumps(index))
    return model


def test_both_text_encoders_of_sdxl_are_checked(xl):
    assert check_model(str(xl))[0].status is PASSED
    (xl / "text_encoder_2" / "model.safetensors").unlink()
    (found,) = check_model(str(xl))
    assert (found.status, "text_encoder_2" in found.text) == (FAILED, True)


@pytest.mark.parametrize(("name", "file"), [("lightning", "sdxl_lightning_4step_unet"), ("lcm", UNET.stem)])
def test_a_unet_and_its_base_model_are_checked(xl, tmp_path, monkeypatch, name, file):
    (tmp_path / "alone").mkdir()
    shutil.copy(xl / UNET, tmp_path / "alone" / f"{file}.safetensors")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    (found,) = check_model(name)
    assert (found.status, describe_model(name).base in found.fix) == (SKIPPED, True)
    fake_hub_cache(xl, tmp_path / "cache", describe_model(name).base, monkeypatch)
    fake_hub_cache(tmp_path / "alone", tmp_path / "cache", describe_model(name).ref, monkeypatch)
    assert check_model(name)[0].status is PASSED


@pytest.mark.parametrize(
    ("missing", "status", "message"),
    [
        ("safety_checker", PASSED, "complete"),
        ("vqgan", FAILED, "vqgan is missing"),
        (
            "decoder/diffusion_pytorch_model.safetensors",
            FAILED,
            "decoder/diffusion_pytorch_model.safetensors is missing",
        ),
        ("first/prior/diffusion_pytorch_model.safetensors", FAILED, "first/prior/diffusion_pytorch_model"),
        ("first/tokenizer", FAILED, "first/tokenizer is missing"),
    ],
)
def test_both_pipelines_of_a_two_stage_model_are_checked(tmp_path, missing, status, message):
    from tests.support.tiny_pipelines import build_tiny_pipeline

    path = build_tiny_pipeline(tmp_path / "whole", Family.WUERSTCHEN) / missing
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    (found,) = check_model(str(tmp_path / "whole"))
    assert found.status is status
    assert message in found.text


def test_all_shards_of_the_weights_are_checked(model):
    names = [f"part-{number}.safetensors" for number in (1, 2)]
    shutil.copy(model / UNET, model / "unet" / names[0])
    (model / UNET).rename(model / "unet" / names[1])
    index = {"weight_map": {"a": names[0], "b": names[1]}}
    (model / "unet" / f"{UNET.name}.index.json").write_text(json.dumps(index))
    assert check_model(str(model))[0].status is PASSED
    (model / "unet" / names[1]).unlink()
    assert check_model(str(model))[0].status is FAILED


def test_weights_in_half_precision_are_enough(model):
    (model / UNET).rename(model / UNET.with_suffix(".fp16.safetensors"))
    assert check_model(str(model))[0].status is PASSED


def test_a_hub_model_that_is_not_downloaded_is_skipped():
    (found,) = check_model("nobody/has-this-model")
    assert found.status is SKIPPED
    assert "hf download nobody/has-this-model" in found.fix


def test_a_download_that_is_not_complete_is_skipped(model, tmp_path, monkeypatch):
    (model / UNET).unlink()
    fake_hub_cache(model, tmp_path / "cache", "somebody/dreams", monkeypatch)
    (found,) = check_model("somebody/dreams")
    assert (found.status, "downloads the rest" in found.text) == (SKIPPED, True)
    assert "hf download somebody/dreams" in found.fix


def test_each_of_several_models_is_checked(tmp_path):
    found = check_models([EMBEDDED, str(tmp_path / "gone"), "nobody/has-this-model"])
    assert [each.status for each in found] == [PASSED, FAILED, SKIPPED]


def test_two_models_with_the_same_name_fail():
    assert [each.status for each in check_models([EMBEDDED, "storybook"])] == [PASSED, PASSED, FAILED]
    assert "listed twice" in check_models([EMBEDDED, "storybook"])[-1].text


@pytest.mark.parametrize(
    ("damage", "status", "message"),
    [
        (lambda folder: None, PASSED, "is complete"),
        (lambda folder: (folder / "config.json").unlink(), FAILED, "no config.json"),
        (lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"), FAILED, "pickled"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"short"), FAILED, "damaged"),
        (shutil.rmtree, FAILED, "does not exist"),
    ],
)
def test_the_classifiers_files_are_checked(model, damage, status, message):
    folder = model / "text_encoder"
    damage(folder)
    (found,) = check_classifier(str(folder))
    assert (found.status, message in found.text) == (status, True)


def test_the_upscaler_is_checked(tmp_path):
    assert check_upscaler(None) == []
    assert "no upscaler" in check_upscaler(tmp_path / "gone.safetensors")[0].text
    (tmp_path / "cut.safetensors").write_bytes(b"short")
    (found,) = check_upscaler(tmp_path / "cut.safetensors")
    assert (found.status, "damaged" in found.text) == (FAILED, True)


def test_a_bot_without_a_classifier_passes():
    assert check_classifier("")[0].status is PASSED


# --- the device


PROBED = {"device": "cuda:0", "name": "A GPU", "free": 2**33, "total": 2**34, "bytes": 2, "torch": "2"}


def test_a_device_without_free_memory_fails():
    assert device._evaluate(PROBED | {"free": 2**20}).status is FAILED
    assert device._evaluate(PROBED).status is PASSED


def test_a_device_that_cannot_multiply_in_8_bits_fails_where_fp8_is_asked_for():
    able, unable = PROBED | {"fp8": True}, PROBED | {"fp8": False}
    assert device._evaluate(unable).status is PASSED
    failure = device._evaluate(unable, fp8=True)
    assert (failure.status, "FP8=yes, but cuda:0 cannot multiply in 8 bits" in failure.text) == (FAILED, True)
    assert failure.fix.startswith("It needs an NVIDIA GPU")
    assert str(device._evaluate(able, fp8=True)).endswith("PyTorch 2, products in 8 bits")


async def test_several_devices_are_checked_each_with_its_share_of_the_memory(monkeypatch):
    async def probe(name, environment):
        return PROBED | {"device": "cuda:0", "name": f"GPU {environment['CUDA_VISIBLE_DEVICES']}"}

    monkeypatch.setattr(device, "probe_device", probe)
    monkeypatch.setattr(device, "list_devices", lambda setting: tuple(setting.split(",")))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert [str(each) for each in await device.check_device("cuda:0,cuda:2")] == [
        "ok   device: GPU 0 (cuda:0), 8.0 of 16.0 GiB free; PyTorch 2",
        "ok   device: GPU 2 (cuda:2), 8.0 of 16.0 GiB free; PyTorch 2",
    ]


async def test_the_probe_says_what_workers_on_one_device_have_of_it(monkeypatch):
    """One real probe answers all checks: it imports torch, which takes long."""
    found = await device.probe_device("cpu")

    async def probe(name, environment=None):
        assert (name, environment or {}) == ("cpu", {})
        return found

    monkeypatch.setattr(device, "probe_device", probe)
    (alone,), (shared,) = await device.check_device("cpu"), await device.check_device("cpu,cpu")
    assert shared.status is alone.status is PASSED
    assert "GiB free for each of 2 workers" in shared.text
    assert _total_gib(shared.text) == pytest.approx(_total_gib(alone.text) / 2, abs=0.1)
    (result,) = await device.check_device("cpu", fp8=True)
    assert (result.status, "FP8=yes, but cpu" in result.text) == (FAILED, True)


def _total_gib(text: str) -> float:
    return float(re.search(r"of ([\d.]+) GiB", text)[1])


async def test_a_device_that_is_not_there_is_told_with_its_true_fix():
    (result,) = await device.check_device("cuda:99")
    assert result.status is FAILED
    assert result.text.startswith("DEVICE=cuda:99, but ")
    assert "DEVICE=auto" in result.fix


@pytest.mark.parametrize(("weights", "status"), [(3_500_000_000, PASSED), (12_000_000_000, FAILED)])
def test_a_device_too_small_for_the_largest_model_fails(weights, status):
    assert device._evaluate(PROBED, weights).status is status


def test_the_parameters_of_a_model_are_counted(tmp_path):
    assert 1e6 < largest_parameter_count([EMBEDDED, "nobody/has-this-model", str(tmp_path)]) < 1e9
    assert largest_parameter_count([str(tmp_path)]) == 0


# --- the data


def test_a_missing_data_folder_passes_and_is_not_created(tmp_path):
    (found,) = check_disk(tmp_path / "data" / "deep")
    assert found.status is PASSED
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2**20))
    assert check_disk(tmp_path)[0].status is FAILED


def test_a_file_in_place_of_the_data_folder_fails(tmp_path):
    (tmp_path / "data").touch()
    assert check_disk(tmp_path / "data")[0].status is FAILED


@pytest.fixture
async def data(tmp_path: Path) -> Path:
    async with JobStore.open(tmp_path / "data" / DATABASE_FILE) as store:
        for _ in range(50):
            await store.add_job(make_job())
    return tmp_path / "data"


def test_a_database_is_checked_completely_and_not_changed(data):
    before = (data / DATABASE_FILE).read_bytes()
    (found,) = check_database(data)
    assert found.status is PASSED
    assert "50 jobs" in found.text
    assert "no bot is using it" in found.text
    assert (data / DATABASE_FILE).read_bytes() == before


async def test_a_database_in_use_by_a_bot_passes(data):
    with acquire_instance_lock(data):
        async with JobStore.open(data / DATABASE_FILE) as store:
            await store.add_job(make_job())
            (found,) = check_database(data)
        assert is_locked(data)
    assert (found.status, "51 jobs" in found.text, "a bot is using it" in found.text) == (PASSED, True, True)
    assert not is_locked(data)


def _overwrite(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096 * 2 : 4096 * 8] = b"\xff" * 4096 * 6
    path.write_bytes(content)


def _age(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 99")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_overwrite, "damaged"),
        (_age, "version 99"),
        (lambda path: path.write_text("no database" * 1000), "damaged"),
    ],
)
def test_a_problem_with_the_database_is_reported(data, damage, message):
    damage(data / DATABASE_FILE)
    (found,) = check_database(data)
    assert found.status is FAILED
    assert message in found.text


def test_a_locked_database_is_reported(data, monkeypatch):
    monkeypatch.setattr("db.upkeep.integrity.LOCK_TIMEOUT_S", 0.05)
    with closing(sqlite3.connect(data / DATABASE_FILE, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        (found,) = check_database(data)
    assert found.status is FAILED
    assert "locked" in found.text


def test_a_database_too_large_to_check_is_skipped(data, monkeypatch):
    monkeypatch.setattr(storage, "DATABASE_TIMEOUT_S", -1.0)
    monkeypatch.setattr("db.upkeep.integrity.PROGRESS_INTERVAL", 1)
    assert check_database(data)[0].status is SKIPPED


# --- all of it


async def test_a_check_that_hangs_is_skipped():
    async def hang() -> list[CheckResult]:
        await asyncio.Event().wait()
        return []

    (found,) = await with_timeout(0.01, "disk", hang())
    assert (found.status, found.subject) == (SKIPPED, "disk")


async def test_a_check_that_raises_is_skipped_with_the_error():
    (found,) = await with_timeout(TIMEOUT_S, "disk", in_daemon_thread(lambda: [][0]))
    assert found.status is SKIPPED
    assert "IndexError" in found.text


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ([result.passed("a", "b")], 0),
        ([result.passed("a", "b"), result.failed("a", "b", "c")], 1),
        ([result.skipped("a", "b")], 1),
    ],
)
def test_the_exit_code_is_0_only_if_every_check_passed(found, code):
    assert run._summarize(found) == code


async def test_an_answer_that_is_not_discords_skips_the_check(harness):
    async def answer(_: web.BaseRequest) -> web.Response:
        return web.Response(text="<html>a router's login page</html>")

    server = web.Server(answer)
    runner = web.ServerRunner(server)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    token = await check_one(harness, "token", discord_api_url=f"http://127.0.0.1:{runner.addresses[0][1]}/api")
    await runner.cleanup()
    assert token.status is SKIPPED


async def test_a_check_that_takes_long_is_named_meanwhile(monkeypatch, capsys):
    async def slow() -> list[CheckResult]:
        await asyncio.sleep(0.2)
        return [result.passed("device", "a card")]

    monkeypatch.setattr(run, "NOTICE_AFTER_S", 0.01)
    monkeypatch.setattr(run, "_start_checks", lambda config: [("device", asyncio.ensure_future(slow()))])
    assert await run.run_checks(Config()) == 0
    printed = capsys.readouterr()
    assert printed.err == "...  device: still checking\n"
    assert "ok   device: a card" in printed.out


@pytest.mark.parametrize(
    ("damage", "status", "message"),
    [
        (lambda folder: None, PASSED, "is complete"),
        (lambda folder: (folder / "model.safetensors").unlink(), FAILED, "model.safetensors is missing"),
        (lambda folder: (folder / "vocab.txt").unlink(), FAILED, "has no tokenizer.json or vocab.txt"),
        (lambda folder: (folder / "config.json").write_text('{"model_type": "git"}'), FAILED, "no captioner that can"),
    ],
)
def test_the_captioners_files_are_checked(tmp_path, damage, status, message):
    (tmp_path / "config.json").write_text('{"model_type": "blip"}')
    (tmp_path / "preprocessor_config.json").write_text("{}")
    (tmp_path / "vocab.txt").write_text("a")
    save_file({"a": np.zeros(1, np.float32)}, tmp_path / "model.safetensors")
    damage(tmp_path)
    (found,) = check_describer(str(tmp_path))
    assert (found.status, message in found.text) == (status, True)
    problems = find_unusable_files(Config(models=(EMBEDDED,), describer=str(tmp_path)))
    assert [message in problem for problem in problems] == ([] if status is PASSED else [True])


@pytest.mark.parametrize("setting", ["describer", "sensitive_classifier"])
def test_a_folder_that_is_not_there_ends_the_start(tmp_path, setting):
    config = Config(models=(EMBEDDED,), **{setting: str(tmp_path / "gone")})
    assert find_unusable_files(config) == [f"{setting.upper()}: no model folder at {tmp_path / 'gone'}"]
    assert find_unusable_files(Config(models=(EMBEDDED,), **{setting: "somebody/a-model-of-the-hub"})) == []


@pytest.mark.parametrize(
    ("device", "build", "usable"),
    [
        ("cpu", "2.13.0+cu130", False),
        ("auto", "2.13.0+cpu", False),
        ("auto", "2.13.0+cu130", True),
        ("none", "2.13.0+cpu", True),
    ],
)
def test_8_bits_on_what_never_has_them_end_the_start(monkeypatch, device, build, usable):
    monkeypatch.setattr("generation.engine.device.availability.version", lambda _: build)
    problems = find_unusable_files(Config(models=(EMBEDDED,), device=device, fp8=True))
    assert ["cannot multiply in 8 bits" in problem for problem in problems] == ([] if usable else [True])


def test_a_bot_without_a_captioner_says_nothing_of_it():
    assert check_describer("") == []
