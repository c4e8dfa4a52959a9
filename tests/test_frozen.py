"""Stored and public names, listed here so that no renaming of Python names changes them.

A name may be added, but never changed or removed: existing rows, Discord messages, `.env` files and dashboards use it.
The Python names for them may change.
"""

from __future__ import annotations

import dataclasses
import re
import sqlite3
from contextlib import closing

import pytest

from bot.config import Config, env_name
from bot.jobs.delivery import DeliveryFailed
from bot.monitoring.metrics import Metrics
from bot.monitoring.worker_metrics import WorkerCollector
from bot.policy.policy import PolicyDenied
from bot.policy.settings import GuildSettings, NsfwMode, ResultPlacement, RoleLimits
from bot.policy.word_filter import WordRule
from bot.ui.errors import error_counts, user_message
from bot.ui.modals import modals
from db.connection import Connection
from db.jobs import JobState
from generation import params
from generation.edited_text import TextEdit
from generation.errors import OutOfMemoryError, UserError, WorkerCrashed
from generation.job import Action, Speed
from generation.models import model
from generation.params import FilmKind, FilmPlan, Frame, LoraWeight, Params, PromptPart, Tile, Upload, WalkEnd
from generation.prompt import PromptError
from generation.prompt.preferences import Preferences
from generation.queue.limits import PersonQueueFull, QueueFull
from scripts.commands_doc import offline_client

JOB, TILE = "0123456789ab", "0123456789ab-3"
TILE_ACTIONS = [
    "pick",
    "like",
    "remix",
    "details",
    "delete",
    "upscale",
    "upscale_creative",
    "upscale_creative_4",
    "clean_up",
    "colour",
    "vary_subtle",
    "vary_strong",
    "vary_region",
    "edit_words",
    "zoom_2",
    "zoom_1_5",
    "zoom_custom",
    "zoom_film",
    "walk",
    "make_square",
    "pan_left",
    "pan_right",
    "pan_up",
    "pan_down",
]
PROMPT_ACTIONS = [
    "colour",
    "edit",
    "imagine",
    "make_square",
    "pan_down",
    "pan_left",
    "pan_right",
    "pan_up",
    "remix_strong",
    "remix_subtle",
    "reroll",
    "vary_region",
    "vary_strong",
    "vary_subtle",
    "zoom_1_5",
    "zoom_2",
    "zoom_custom",
]
PURPOSES = ("imagine", f"vary_strong:{TILE}", f"vary_region:{TILE}:01f", "imagine:" + "ab" * 32)
CUSTOM_IDS = [
    *(f"{action}:{TILE}" for action in TILE_ACTIONS),
    *(f"cell{number}:{TILE}" for number in range(9)),
    *(f"{kind}:{purpose}" for kind in ("all", "edit") for purpose in PURPOSES),
    f"cancel:{JOB}",
    f"reroll:{JOB}",
    f"retry:{JOB}",
    f"part:{TILE}",
    f"go_on:{TILE}",
    "drop",
    "config:page",
    "config:set:delivery",
    "config:type:defaults",
    "help:page",
    "info:cancel",
    "show:pick",
    "find:w:0:red fox by:mira",
    "find:i:1:" + "ab" * 32,
    f"find:l:0:{TILE}",
    "find_post",
    "find_zip:w:red fox by:mira",
    "find_zip:i:" + "ab" * 32,
    f"find_zip:l:{TILE}",
    "default_model:imagine",
    "privacy:get",
    "privacy:delete",
    f"privacy:get:2:1795974333.25:{JOB}",
    "report:delete:7",
    "report:block:7",
    "report:dismiss:7",
    f"bell:{JOB}",
    f"canvas:paint:{JOB}:0",
    f"canvas:place:{JOB}",
    f"canvas:take:{TILE}",
    f"canvas:again:{JOB}",
    f"canvas:reword:{JOB}",
    f"canvas:let_go:{JOB}",
    f"canvas:undo:{JOB}:12",
    f"canvas:look:{JOB}:0:3:1",
    f"canvas:who:{JOB}:0",
    f"canvas:out:{JOB}:0",
    f"canvas:finish:{JOB}",
    f"contest:theme:{JOB}",
    f"contest:themes:{JOB}:0",
    f"contest:enter:{JOB}",
    f"contest:entry:{JOB}",
    f"contest:back:{JOB}",
    f"contest:this:{TILE}",
    f"contest:vote:{JOB}",
    *(f"contest:pick:{JOB}:12:7:{answer}" for answer in ("left", "right", "both", "skip")),
    f"contest:help:{JOB}:3",
    f"contest:out:{JOB}",
    f"contest:unsay:{JOB}",
    f"contest:go_on:{JOB}:2",
    f"contest:end:{JOB}",
    f"contest:wake:{JOB}",
    f"jam:tile:{TILE}",
    f"jam:again:{JOB}",
    f"jam:move:{JOB}",
    f"jam:words:{JOB}:0",
    f"jam:suggest:{JOB}",
    f"jam:help:{JOB}",
    f"jam:drop:{JOB}",
    f"jam:end:{JOB}",
    f"jam:wake:{JOB}",
    *(f"telephone:{purpose}:{JOB}" for purpose in ("join", "leave", "begin", "help", "end", "again")),
    *(f"telephone:{purpose}:{JOB}:2" for purpose in ("skip", "next", "write", "pass")),
    f"telephone:turn:{JOB}:2:0",
    f"film_mp4:{TILE}",
    f"tree:{JOB}",
    f"tree:{JOB}:{JOB}",
    f"tree_go:{JOB}:{JOB}",
    f"tree_share:{JOB}:{JOB}",
    f"reading:{JOB}:1",
    f"describe_again:{JOB}",
    f"describe_all:{JOB}",
    f"describe_all_confirmed:{JOB}",
    "set:speed:turbo",
    "set:high_variation:off",
    "set:model",
    "set:stylize",
]
MODALS = [
    "canvas_piece",
    "canvas_reword",
    "config",
    "contest_theme",
    "delete",
    "film",
    "jam_words",
    "privacy",
    "prompt",
    "report",
    "telephone_words",
    "use",
    "walk",
]
ACTIONS = [
    "imagine",
    "blend",
    "reroll",
    "pick",
    "upscale",
    "upscale_creative",
    "upscale_creative_4",
    "vary_subtle",
    "vary_strong",
    "vary_region",
    "zoom_2",
    "zoom_1_5",
    "zoom_custom",
    "pan_left",
    "pan_right",
    "pan_up",
    "pan_down",
    "make_square",
    "remix_subtle",
    "remix_strong",
    "zoom_film",
    "shorten",
    "describe",
    "walk",
    "edit_words",
    "clean_up",
    "colour",
    "edit",
]
TABLES = {
    "audit": "id guild_id person_id act details at",
    "ballots": "session round person kind choice at",
    "blocked_words": "guild_id phrase mode",
    "blocks": "guild_id person_id reason until by_id at",
    "deferrals": "token token_expires_at person_id locale target prompt",
    "direct_messages": "job_id person_id kind asked_at",
    "collab_rounds": "session round job_id message_id facts worded_by",
    "collab_sessions": "id kind guild_id channel_id thread_id host_id phase round due_at settings message_id made_at "
    "ended_at stale",
    "canvases": "session columns rows cell neighbours stale",
    "canvas_claims": "session person name x y cells words job_id drawn at until",
    "canvas_pieces": "number session person name x y words job_id tile_index sensitive placed_at",
    "canvas_cells": "session x y piece",
    "contest_entries": "id session person job_id tile_index at shown place rank",
    "credits": "job person part weight",
    "erasures": "person_id up_to",
    "favourites": "person_id job_id tile_index at",
    "fingerprints": "id job_id guild_id channel_id person_id outlines vectors",
    "guilds": "id settings version",
    "job_words": "job_id asker_id prompt",
    "jobs": "id state action params asker_id asker_name guild_id channel_id by_channel token token_expires_at "
    "upload_limit reply_to parent_job parent_index asked_at started_at ended_at attempts suffix notice_id answer_id "
    "ending prompt speed private deleted_at post_in sensitive removing seconds model locale",
    "lineage": "child parent_job parent_index kind",
    "memos": "name value",
    "news": "person_id parent_job child",
    "news_readers": "person_id told_at",
    "options": "person_id name value",
    "outline_changes": "number job_id gone",
    "preferences": "person_id settings",
    "readings": "job_id prompts words",
    "reports": "id guild_id job_id person_id reason at outcome",
    "session_bells": "session person",
    "shown": "id job_id guild_id channel_id thread_id person_id at",
    "shown_words": "place author model prompt",
    "styles": "code person_id guild_id channel_id image at purpose",
    "suggestions": "session person round name words at",
    "tallies": "person_id guild_id asked_at seconds",
    "telephone_players": "session person lot name roles",
    "threads": "channel_id person_id thread_id",
    "to_index": "job_id",
    "uploads": "digest job_id brought_by",
}
METRICS = {
    "atelier_database_bytes": (),
    "atelier_discord_latency_seconds": (),
    "atelier_disk_free_bytes": (),
    "atelier_drawing_seconds": (),
    "atelier_errors": (),
    "atelier_jobs": ("action", "state"),
    "atelier_jobs_present": ("state",),
    "atelier_model_held": ("model",),
    "atelier_people_present": ("state",),
    "atelier_waiting_seconds": (),
    "atelier_worker_restarts": (),
    "atelier_worker_state": (),
}
METRICS_OF_SEVERAL_WORKERS = {
    "atelier_device_jobs": ("worker",),
    "atelier_device_model_held": ("worker", "model"),
    "atelier_device_restarts": ("worker",),
    "atelier_device_state": ("worker", "state"),
}
SETTINGS = [
    "DISCORD_TOKEN",
    "DISCORD_API_URL",
    "DATA_DIR",
    "MODEL",
    "MODEL_MEMORY",
    "DEVICE",
    "CLUSTER",
    "CLUSTER_HERE",
    "CLUSTER_FILES",
    "NODE_NAME",
    "LORAS",
    "EMBEDDINGS",
    "CONTROLS",
    "IMAGE_ADAPTERS",
    "UPSCALER",
    "THREADS",
    "COMPILE",
    "FP8",
    "JOBS_AT_ONCE",
    "RUNNING_PER_PERSON",
    "WAITING_PER_PERSON",
    "WAITING_IN_ALL",
    "STEP_TIMEOUT",
    "SENSITIVE_CLASSIFIER",
    "DESCRIBER",
    "ALLOWED_GUILDS",
    "RETENTION_DAYS",
    "METRICS_PORT",
    "GALLERY_PORT",
    "GALLERY_URL",
    "DISCORD_CLIENT_SECRET",
    "FILM_FORMAT",
    "PICTURES_WITHOUT_PROMPTS",
    "SIGNING_CERTIFICATE",
    "SIGNING_KEY",
    "LOG_LEVEL",
    "LOG_FORMAT",
]
MODEL_FACTS = [
    "name",
    "native_size",
    "size_multiple",
    "max_aspect",
    "num_inference_steps",
    "guidance_scale",
    "examples",
    "trigger_words",
    "sampler",
    "partner",
    "known",
    "synonyms",
    "unsupported",
    "steps_with_other_samplers",
]
PARAMS = [
    "parts",
    "no",
    "aspect",
    "width",
    "height",
    "seed",
    "num_inference_steps",
    "guidance_scale",
    "count",
    "source",
    "strength",
    "mask",
    "sampler",
    "negative_prompt",
    "blended",
    "frame",
    "region",
    "same_seed",
    "chaos",
    "house_style",
    "stylize",
    "raw",
    "weird",
    "stop",
    "seamless",
    "draft",
    "hd",
    "model",
    "loras",
    "film",
    "video",
    "reading",
    "style",
    "style_code",
    "style_weight",
    "style_is_palette",
    "controls",
    "control",
    "control_code",
    "mix",
    "mix_keep",
    "colourise",
    "style_adapter",
    "character",
    "character_code",
    "character_weight",
    "character_adapter",
    "image_prompts",
    "image_weight",
    "image_adapter",
    "original",
    "image_guidance",
    "hold",
    "retouch",
]
PREFERENCES = ["suffix", "model", "stylize", "raw", "high_variation", "remix", "private", "speed", "auto_dm"]
GUILD_SETTINGS = [
    "defaults",
    "models",
    "channels",
    "delivery",
    "gallery",
    "fast_roles",
    "upscale_roles",
    "repeat_roles",
    "permutation_roles",
    "bounds",
    "permutations",
    "stealth",
    "retention_days",
    "log_channel",
    "sensitive",
    "language",
    "host_roles",
    "min_account_days",
    "min_member_hours",
    "sessions_at_once",
    "quiet_channels",
    "session_cost",
    "canvases",
    "telephones",
    "contest_channel",
    "contest_days",
    "contest_vote_days",
    "contest_theme_by",
    "contest_role",
    "contest_themes",
    "contest_event",
    "gallery_pages",
    "gallery_hidden",
    "gallery_names",
]
BOUNDS = ["running", "waiting", "jobs_a_day", "gpu_seconds_a_day", "cooldown", "longest_side", "steps"]


def names(kind):
    return [field.name for field in dataclasses.fields(kind)]


async def test_every_custom_id_of_existing_messages_is_handled():
    async with offline_client() as client:
        templates = list(client._connection._view_store._dynamic_items)
    for custom_id in CUSTOM_IDS:
        matches = [template.pattern for template in templates if re.fullmatch(template, custom_id)]
        assert len(matches) == 1, custom_id
    used = {template for template in templates for custom_id in CUSTOM_IDS if re.fullmatch(template, custom_id)}
    assert used == set(templates), "a custom_id that is not listed here"


async def test_every_modal_id_is_handled():
    async with offline_client():
        assert {prefix.partition(":")[0] for prefix in modals._handlers} == set(MODALS)
        assert all(modals.find(f"{kind}:anything") for kind in MODALS)
        assert all(modals.find(f"prompt:{action}") for action in PROMPT_ACTIONS)


def test_the_values_of_enumerations_are_the_stored_ones():
    assert [action.value for action in Action] == ACTIONS
    assert [state.value for state in JobState] == ["waiting", "drawing", "drawn", "answered", "failed", "cancelled"]
    assert [speed.value for speed in Speed] == ["turbo", "fast", "relax"]
    assert [mode.value for mode in WordRule] == ["refuse", "warn", "except_no"]
    assert [each.value for each in ResultPlacement] == ["here", "thread_of_person", "thread_of_job", "gallery"]
    assert [each.value for each in NsfwMode] == ["spoiler", "withhold"]


async def test_the_tables_and_columns_are_the_stored_ones(tmp_path):
    async with Connection.open(tmp_path / "store.sqlite3"):
        pass
    with closing(sqlite3.connect(tmp_path / "store.sqlite3")) as sqlite:
        tables = [name for (name,) in sqlite.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        columns = {table: [row[1] for row in sqlite.execute(f"PRAGMA table_info('{table}')")] for table in tables}
    found = {
        table: " ".join(names)
        for table, names in columns.items()
        if not table.startswith(("job_words_", "shown_words_"))
    }
    assert found == TABLES


async def test_the_metrics_are_those_of_the_dashboards():
    async with offline_client() as client:
        registry = Metrics(client.services, lambda: client)._registry
        collectors = registry._collector_to_names
        labels = {each._name: each._labelnames for each in collectors if hasattr(each, "_labelnames")}
        found = {family.name for family in registry.collect() if family.name.startswith("atelier_")}
    assert found == set(METRICS)
    assert labels == {name: METRICS[name] for name in labels}


async def test_the_metrics_of_several_workers_are_those_of_the_dashboards():
    async with offline_client() as client:
        families = list(WorkerCollector(client.services.fleet, client.services.queue).collect())
    labels = {family.name: family._labelnames for family in families}
    assert labels == METRICS_OF_SEVERAL_WORKERS


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (UserError("no"), "Complaint"),
        (OutOfMemoryError("no"), "OutOfMemory"),
        (WorkerCrashed(), "WorkerDied"),
        (PromptError("no"), "PromptFaults"),
        (PolicyDenied("no"), "Refused"),
        (DeliveryFailed("no"), "Undeliverable"),
        (QueueFull("no"), "QueueFull"),
        (PersonQueueFull("no"), "PersonQueueFull"),
    ],
)
def test_errors_are_counted_under_the_reasons_of_the_dashboards(error, reason):
    before = error_counts[reason]
    user_message(error)
    assert error_counts[reason] == before + 1


def test_the_settings_are_those_of_env_files():
    assert [env_name(name) for name in Config.__dataclass_fields__] == SETTINGS


def test_the_keys_of_atelier_json_are_the_known_ones():
    assert list(model._ATELIER_JSON_KEYS) == MODEL_FACTS


def test_the_keys_of_json_in_rows_are_the_stored_ones():
    assert names(Params) == PARAMS
    assert names(Preferences) == PREFERENCES
    assert names(GuildSettings) == GUILD_SETTINGS
    assert names(RoleLimits) == BOUNDS
    assert names(PromptPart) == ["text", "weight", "edited"]
    assert names(TextEdit) == ["before", "after", "at"]
    assert names(LoraWeight) == ["name", "weight"]
    assert names(Frame) == ["left", "top", "width", "height"]
    assert names(FilmPlan) == ["kind", "steps", "words", "to"]
    assert names(WalkEnd) == ["parts", "seed", "tiles"]
    assert list(FilmKind) == ["zoom_out", "zoom_in", "loop", "walk"]


def test_images_in_params_are_written_as_in_existing_rows():
    params_with_images = Params(
        parts=(PromptPart("a fox"),),
        width=64,
        height=64,
        seed=1,
        num_inference_steps=4,
        guidance_scale=7.5,
        source=Tile(JOB, 3),
        mask=Upload("ab" * 32),
    )
    assert params.to_dict(params_with_images)["source"] == f"tile:{TILE}"
    assert params.to_dict(params_with_images)["mask"] == "upload:" + "ab" * 32
