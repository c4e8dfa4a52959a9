"""Make the next step of several jobs at once: one product of what their samplers' tables say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

from generation.engine.denoising.job import DenoisingJob
from generation.engine.device.transfer import to_device


def group_by_canvas(jobs: Sequence[DenoisingJob]) -> list[list[DenoisingJob]]:
    """Return the jobs in groups that `advance` can take: those whose latents have one size, and who have a table."""
    groups: dict[object, list[DenoisingJob]] = defaultdict(list)
    for job in jobs:
        groups[job.latents.shape[1:] if job.has_table else job.job_id].append(job)
    return list(groups.values())


def advance(jobs: Sequence[DenoisingJob]) -> None:
    """Make the step of a group of jobs whose predictions are complete; if memory runs out, none of them has made it."""
    stepped = _products(jobs) if jobs[0].has_table else [jobs[0].scheduler_step()]
    constrained = [job.constrained(latents) for job, latents in zip(jobs, stepped, strict=True)]
    for job, latents in zip(jobs, constrained, strict=True):
        job.finish_step(latents)


def _products(jobs: Sequence[DenoisingJob]) -> Sequence[Tensor]:
    """Return the next latents of each job, before its constraint."""
    for job in jobs:
        job.sample_noise()
    terms = list(dict.fromkeys(term for job in jobs for term in job.factors))
    tiles = [len(job.latents) for job in jobs]
    values = torch.cat([job.value(term) for term in terms for job in jobs])
    values = values.view(len(terms), sum(tiles), *values.shape[1:])
    rows = [[job.factors.get(term, 0.0) for job in jobs for _ in range(len(job.latents))] for term in terms]
    factors = to_device(torch.tensor(rows), values.device)[..., None, None, None]
    return torch.split((factors * values).sum(0), tiles)
