"""Describe pictures beside the models, on a thread of its own, if there is a captioner."""

from __future__ import annotations

import io
import logging
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from PIL import Image

from generation.engine.base import Emit
from generation.engine.output.captioner import Captioner
from generation.errors import first_line
from generation.messages import Failed, FailureReason, Generate, Progress, Read, Reading
from generation.params import ReadingKind
from generation.planning.descriptions import DESCRIPTIONS

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Pending:
    request: Generate
    texts: Future[tuple[str, ...]]
    started: float


class Captions:
    """Jobs that a captioner does. Call all methods from one thread; `wakeup` is set when one is done."""

    def __init__(self, captioner: Captioner | None, emit: Emit, wakeup: threading.Event) -> None:
        self._captioner, self._emit, self._wakeup = captioner, emit, wakeup
        self._thread = ThreadPoolExecutor(1, "captions")
        self._pending: dict[str, _Pending] = {}

    @property
    def busy(self) -> bool:
        """Return whether there are jobs."""
        return bool(self._pending)

    def add(self, request: Generate) -> bool:
        """Accept a job that describes a picture; False if it is another job, or there is no captioner."""
        if self._captioner is None or request.params.reading is not ReadingKind.DESCRIBE or request.source is None:
            return False
        texts = self._thread.submit(self._describe, self._captioner, request)
        self._pending[request.job_id] = _Pending(request, texts, time.monotonic())
        texts.add_done_callback(lambda _: self._wakeup.set())
        return True

    def cancel(self, job_id: str) -> bool:
        """End a job as cancelled; False for one that is not here."""
        if (pending := self._pending.pop(job_id, None)) is None:
            return False
        pending.texts.cancel()
        self._emit(Failed(job_id, FailureReason.CANCELLED, "cancelled"))
        return True

    def poll(self) -> list[Generate]:
        """Report the jobs that are done; return those that failed, which the drawing model may do."""
        failed = []
        for job_id, pending in list(self._pending.items()):
            if not pending.texts.done():
                continue
            del self._pending[job_id]
            if error := pending.texts.exception():
                log.warning("the captioner failed: %s: %s", type(error).__name__, first_line(error))
                failed.append(pending.request)
            else:
                seconds = time.monotonic() - pending.started
                self._emit(Read(job_id, Reading(seconds, texts=pending.texts.result())))
        return failed

    def close(self) -> None:
        """Drop all jobs."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _describe(self, captioner: Captioner, request: Generate) -> tuple[str, ...]:
        with Image.open(io.BytesIO(request.source or b"")) as opened:
            image = opened.convert("RGB")
        texts: dict[str, None] = {}
        for number, text in enumerate(captioner.captions(image, request.params.seed), 1):
            if request.job_id not in self._pending and number > 1:  # cancelled
                break
            texts |= {text: None} if text else {}
            self._emit(Progress(request.job_id, number, DESCRIPTIONS))
        if not texts:
            raise ValueError("it says nothing about the picture")
        return tuple(texts)
