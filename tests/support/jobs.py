"""Jobs for tests to store."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from generation.job import Action, Destination, Job, Requester, new_job_id
from generation.params import Params, PromptPart, Tile, Upload

ADA, BEN = Requester(11, "ada"), Requester(12, "ben")


def make_job(**changes: Any) -> Job:
    """Return a plain job that is not stored yet."""
    job = Job(
        id=new_job_id(),
        action=Action.IMAGINE,
        params=Params(
            parts=(PromptPart("a red fox"),), width=512, height=512, seed=7, num_inference_steps=25, guidance_scale=7.5
        ),
        requester=ADA,
        destination=Destination(
            guild_id=1, channel_id=2, by_channel=True, token="t", token_expires_at=900.0, upload_limit=10 * 2**20
        ),
        parent=None,
        asked_at=100.0,
    )
    return replace(job, **changes)


def make_full_job() -> Job:
    """Return a job with an unusual value in every field."""
    return Job(
        id=new_job_id(),
        action=Action.VARY_STRONG,
        params=Params(
            parts=(
                PromptPart("Füchsin 🦊 'quoted' \"twice\" %s ? :id", 2.5),
                PromptPart("שלום\0; DROP TABLE jobs", -1 / 3),
            ),
            no=("text", "日本"),
            aspect=(16, 9),
            width=680,
            height=384,
            seed=2**32 - 1,
            num_inference_steps=150,
            guidance_scale=0.1 + 0.2,
            count=1,
            source=Tile("0123456789ab", 3),
            strength=0.45,
            mask=Upload("f" * 64),
            sampler="euler_a",
            negative_prompt="",
        ),
        requester=Requester(2**63 - 1, "O'Brien\n🦊"),
        destination=Destination(
            guild_id=None,
            channel_id=2**62,
            by_channel=False,
            token="aW50ZXJhY3Rpb24" * 20,
            token_expires_at=1763704815.123456,
            upload_limit=100 * 2**20,
            reply_to=2**60 + 1,
        ),
        parent=Tile("0123456789ab", 3),
        asked_at=1763703915.654321,
    )
