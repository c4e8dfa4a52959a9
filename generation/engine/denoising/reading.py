"""A job that draws nothing: it asks the UNet for predictions, and answers with what follows from them.

Its rows share UNet calls with those of the jobs that draw.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from generation.engine.conditioning.encoder import PromptEncoder
from generation.engine.denoising.job import BatchKey
from generation.engine.denoising.probes import Probe
from generation.engine.denoising.rows import Rows, text_columns
from generation.engine.device.transfer import to_device
from generation.engine.images.windows import layout_windows
from generation.messages import Generate, Reading

MAX_ROWS_PER_CALL = 4  # so that others have room in a call, and a cancelled job ends soon


class Question(NamedTuple):
    """A row of a UNet call: what the UNet predicts for a probe with this text."""

    text: str
    probe: Probe


# Yields questions, is sent the predictions, one a row in their order, and returns the result.
Questions = Generator[Sequence[Question], Tensor, Reading]


class ReadingJob:
    """The state of a reading: the questions that wait for predictions, and those to come.

    Once all predictions are there, `think` asks further. It waits for the device, so the step loop should not call it.

    `leader_rows` are those of a DenoisingJob: there are none here. `longest` is the longest text that is asked with,
    and `total_rows` the number of all questions, for the progress.
    """

    leader_rows = 0

    def __init__(
        self, request: Generate, questions: Questions, encoder: PromptEncoder, latents: Tensor, longest: str, rows: int
    ) -> None:
        self.request = request
        self._questions, self._encoder = questions, encoder
        self._chunks = encoder.chunk_count(longest)
        self._asked = 0
        self._total = rows
        self.answers: list[Tensor] = []
        self._result: Reading | None = None
        params, canvas = request.params, (latents.shape[-2], latents.shape[-1])
        key_shape = (latents.shape[1], *canvas)
        self.key = BatchKey(key_shape, encoder.text_length(self._chunks), False, params.lora_set)
        time_ids = layout_windows(canvas, canvas).time_ids(params.width // canvas[1])
        self._time_ids = to_device(time_ids, latents.device)
        self._guidance = encoder.embed_guidance(params.guidance_scale)
        self._waiting = self._next(None)

    @property
    def job_id(self) -> str:
        """Return the job's id."""
        return self.request.job_id

    @property
    def pixels(self) -> int:
        """Return the area of one row in pixels."""
        return self.request.params.width * self.request.params.height

    @property
    def done(self) -> bool:
        """Return whether all questions are answered."""
        return self._result is not None

    @property
    def result(self) -> Reading:
        """Return what the answers amount to, once they are all there."""
        assert self._result is not None, "not done"
        return self._result

    @property
    def progress(self) -> tuple[int, int]:
        """Return the rows that are predicted and their total."""
        return min(self._asked, self._total), self._total

    @property
    def remaining_rows(self) -> int:
        """Return how many rows the next call may have."""
        return min(len(self._waiting), MAX_ROWS_PER_CALL)

    @property
    def remaining_pixels(self) -> int:
        """Return how many pixels the UNet still has to process."""
        return max(self._total - self._asked, len(self._waiting)) * self.pixels

    def next_rows(self, count: int) -> Rows:
        """Return the rows of the next `count` questions."""
        asked = self._waiting[:count]
        embedding = self._encoder.embed_texts([question.text for question in asked], self._chunks)
        return Rows(
            latents=torch.cat([question.probe.latents for question in asked]),
            timesteps=torch.cat([question.probe.timestep for question in asked]),
            embeddings=embedding.states,
            columns=text_columns(embedding.pooled, self._time_ids.expand(count, -1), self._guidance),
        )

    def add_prediction(self, prediction: Tensor) -> bool:
        """Add the UNet's prediction for the rows returned last; always True, since each call is a step."""
        self.answers.append(prediction.float())
        self._asked += len(prediction)
        self._waiting = self._waiting[len(prediction) :]
        return True

    @property
    def is_answered(self) -> bool:
        """Return whether the questions are answered, so that it is time to think."""
        return not (self._waiting or self.done)

    @torch.inference_mode()
    def think(self) -> None:
        """Ask the next questions, or come to the result."""
        answers, self.answers = torch.cat(self.answers), []
        self._waiting = self._next(answers)

    def _next(self, answers: Tensor | None) -> Sequence[Question]:
        """Return the next questions; none once there is a result."""
        try:
            return next(self._questions) if answers is None else self._questions.send(answers)
        except StopIteration as end:
            self._result = end.value
            return []
