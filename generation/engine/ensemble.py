"""Several engines as one: each draws with a model of its own, as many of them as memory holds."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from generation.child import Emit, Engine
from generation.engine.batch import LONGEST_WAITING
from generation.engine.keeping import Keeper, Maker, Refusal
from generation.errors import Complaint
from generation.messages import Event, Failed, Finished, Generate, Reason
from generation.models import Model
from generation.repertoire import Repertoire

PAUSE = 0.02  # seconds that a step without an engine to step waits for a model, before messages are looked at again


@dataclass(frozen=True, slots=True)
class _Job:
    """A request, and the name of the model that draws it."""

    request: Generate
    model: str


class Ensemble:
    """Draws every job with the model that it names, which is loaded first where it has to be.

    All methods are for one thread, which makes the steps of all models; loading goes on beside it. What is held, in
    `memory` bytes on the device and `spare` bytes in RAM, is for the `Keeper`. The default model is loaded at once, and
    what that raises comes out of here. Another that cannot be loaded ends the jobs that wait for it, and is tried again
    for the next one.
    """

    def __init__(self, repertoire: Repertoire, maker: Maker, emit: Emit, memory: int, spare: int = 0) -> None:
        self._emit, self._device = emit, str(maker.device)
        self._waiting: dict[str, _Job] = {}
        self._drawing: dict[str, _Job] = {}
        self._of_drawing = threading.Lock()  # engines tell of ends from their own threads
        self._is_cramped = False
        self._turn = 0
        self._served: dict[str, int] = {}
        self._keeper = Keeper(maker, memory, spare, emit, self._hear, self._models_that_draw)
        self._held = self._keeper.held
        self._repertoire = repertoire.corrected(self._keeper.load(repertoire.default))

    @property
    def model(self) -> Model:
        """Give the default model, as it really is."""
        return self._repertoire.default

    @property
    def device(self) -> str:
        """Give the name of the device."""
        return self._device

    @property
    def busy(self) -> bool:
        """Say whether there is a step to make, or a model to wait for."""
        waits = self._waiting or self._keeper.is_bringing
        return bool(waits) or any(held.engine.busy for held in self._held.values())

    def add(self, request: Generate) -> None:
        """Take a job."""
        try:
            model = self._repertoire.drawing(request.params)
        except Complaint as complaint:
            self._emit(Failed(request.job_id, Reason.COMPLAINT, str(complaint)))
        else:
            self._waiting[request.job_id] = _Job(request, model.name)
            self._let_in()

    def cancel(self, job_id: str) -> None:
        """End a job as cancelled, wherever it is; unknown ids are ignored."""
        if self._waiting.pop(job_id, None):
            self._emit(Failed(job_id, Reason.CANCELLED, "cancelled"))
        elif job := self._drawing.get(job_id):
            self._held[job.model].engine.cancel(job_id)

    def step(self) -> None:
        """Take in a model that has come, send for the next that is wanted, and make a step with one of those there."""
        self._receive()
        self._let_in()  # before the next is sent for, so that nobody leaves whom somebody has been waiting for
        self._send_for_next()
        if engine := self._next_engine():
            engine.step()
        elif self._keeper.news.wait(PAUSE):
            self._keeper.news.clear()

    def close(self) -> None:
        """Finish what is being decoded, forget the rest, and let go of all memory."""
        self._keeper.close()

    def _let_in(self) -> None:
        """Give jobs to the engines that are there; while somebody waits for room, nobody who came later gets in."""
        if self._is_cramped:
            return
        for job_id, job in list(self._waiting.items()):
            if job.model in self._held:
                del self._waiting[job_id]
                with self._of_drawing:
                    self._drawing[job_id] = job
                self._keeper.use(job.model)
                self._held[job.model].engine.add(job.request)

    def _hear(self, event: Event) -> None:
        """Pass on what an engine tells, and note whose job has come to its end."""
        if isinstance(event, Finished | Failed):
            with self._of_drawing:
                self._drawing.pop(event.job_id, None)
            self._keeper.news.set()
        self._emit(event)

    def _jobs(self) -> list[_Job]:
        """Give the jobs that draw, in the queue's order."""
        with self._of_drawing:
            return sorted(self._drawing.values(), key=_order)

    def _models_that_draw(self) -> set[str]:
        return {job.model for job in self._jobs()}

    def _next_engine(self) -> Engine | None:
        """Give the engine that makes the next step.

        Most turns go to the model of the job that is first in the queue's order, since strict rotation would make all
        finish late; every fourth goes to the one that was served longest ago.
        """
        self._served = {name: self._served.get(name, 0) for name in self._held}
        able = [name for name, held in self._held.items() if held.engine.busy]
        if not able:
            return None
        self._turn += 1
        if self._turn % LONGEST_WAITING:
            name = next((job.model for job in self._jobs() if job.model in able), able[0])
        else:
            name = min(able, key=lambda name: self._served[name])
        self._served[name] = self._turn
        return self._held[name].engine

    def _send_for_next(self) -> None:
        """Have the model brought that the first of the waiting jobs wants, as soon as there is room for it."""
        self._is_cramped = False
        absent = [job for job in self._waiting.values() if job.model not in self._held]
        if self._keeper.is_bringing or not absent:
            return
        model = self._repertoire.drawing(min(absent, key=_order).request.params)
        self._is_cramped = not self._keeper.send_for(model)

    def _receive(self) -> None:
        """Take in the model that has come, or end the jobs that waited for it; raises what nobody expected."""
        come = self._keeper.receive()
        if isinstance(come, Model):
            self._repertoire = self._repertoire.corrected(come)
        elif come is not None:
            self._refuse(come)

    def _refuse(self, refusal: Refusal) -> None:
        for job_id in [job_id for job_id, job in self._waiting.items() if job.model == refusal.model]:
            del self._waiting[job_id]
            self._emit(Failed(job_id, refusal.reason, refusal.text))


def _order(job: _Job) -> int:
    return job.request.order
