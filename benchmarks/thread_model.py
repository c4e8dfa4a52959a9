"""Model the engine's threads on a GPU, in virtual time: `python -m benchmarks.thread_model`.

No GPU is needed, and a busy machine does not matter. The step thread prepares and launches UNet calls and keeps one
call ahead; the post-processor decodes grids and previews on a stream of its own; three threads encode a grid's tiles
and its sheet at once. Python runs under one lock, which changes hands every 5 ms at most. The costs are assumptions:
published ones of an H100-class card for kernels and launching, and this project's measurements for Python and for
encoding. The model knows nothing of memory bandwidth. `stock` is one pipeline after another, compiled, with the files
encoded by Pillow.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass, field

PEOPLE = (1, 2, 4, 8)
STEPS, TILES, ROWS_OF_A_GRID, MAX_ROWS = 20, 4, 8, 32
LOCK_MS = 5.0  # after which a waiting thread gets Python's lock
PREPARE_MS, ROWS_MS, ADVANCE_MS, KERNELS_MS = 4.0, 0.55, 0.35, 0.24  # of a job: at its start, then for each step
PREVIEW_EVERY_MS, PREVIEW_MS = 1000.0, 2.0
WARM_UP = 0.1  # of the simulated time
ENCODERS = 3


@dataclass(frozen=True)
class Setup:
    """What a UNet row, a launch, decoding a tile and encoding take, in milliseconds; `stock_grid` is a stock grid."""

    name: str
    row: float
    launch: float
    decode: float
    png: float
    sheet: float
    stock_grid: float
    minutes: float = 2


SETUPS = (
    Setup("SD 1.5, uncompiled", 2.3, 18, 6.5, 3.3, 20, 20 * 19.0 + 4 * 6.5 + 153),
    Setup("SD 1.5, compiled", 1.6, 2, 6.5, 3.3, 20, 20 * 12.8 + 4 * 6.0 + 153),
    Setup("SDXL, compiled, VAE in bfloat16", 12.5, 5, 22, 10, 80, 20 * 100 + 4 * 22 + 540, 15),
)

Wait = tuple[str, float]  # "python" for so long, "work" for so long without the lock, "until" a time, or "idle"
Thread = Generator[Wait, None, None]


class Clock:
    """Runs threads in virtual time: one of them at a time under Python's lock."""

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._lock_free, self._lock_queue = True, deque[tuple[Thread, float]]()

    def run(self, threads: list[Thread], until: float) -> None:
        """Run the threads until a time."""
        for thread in threads:
            self._resume(thread)
        while self._events and self.now < until:
            self.now, _, event = heapq.heappop(self._events)
            event()

    def _at(self, moment: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (max(moment, self.now), next(self._numbers), event))

    def _resume(self, thread: Thread) -> None:
        kind, value = next(thread)
        if kind == "python":
            self._lock_queue.append((thread, value))
            self._pass_lock()
        else:
            self._at(
                {"work": self.now + value, "until": value, "idle": self.now + 0.5}[kind], lambda: self._resume(thread)
            )

    def _pass_lock(self) -> None:
        if not self._lock_free or not self._lock_queue:
            return
        self._lock_free = False
        thread, left = self._lock_queue.popleft()
        turn = min(left, LOCK_MS)

        def end() -> None:
            self._lock_free = True
            if left > turn:
                self._lock_queue.append((thread, left - turn))
            self._pass_lock()
            if left <= turn:
                self._resume(thread)

        self._at(self.now + turn, end)


@dataclass(eq=False)
class Job:
    """A person's grid: the steps that are left, and when it was last previewed."""

    steps: int = STEPS
    is_new: bool = True
    previewed: float = 0.0


@dataclass(eq=False)
class Grid:
    """A person's grid while it is encoded: the files that are left."""

    files: int = TILES + 1


@dataclass
class Model:
    """The engine with one grid for each person, who asks again when it is posted."""

    setup: Setup
    people: int
    clock: Clock = field(default_factory=Clock)
    gpu_end: float = 0.0
    gpu_busy: float = 0.0
    done: int = 0

    def __post_init__(self) -> None:
        self._jobs = [Job() for _ in range(self.people)]
        self._decoding: deque[tuple[str, float]] = deque()  # what, and when the UNet's last call for it ends
        self._encoding: deque[tuple[Grid, float]] = deque()

    def pictures_per_second(self) -> tuple[float, float]:
        """Return the pictures a second, and the share of the time that the GPU works."""
        total = self.setup.minutes * 60_000
        threads = [self._step_thread(), self._post_processor(), *(self._encoder() for _ in range(ENCODERS))]
        self.clock.run(threads, WARM_UP * total)
        done, busy, start = self.done, self.gpu_busy, self.clock.now
        self.clock.run([], total)
        seconds = (self.clock.now - start) / 1000
        return (self.done - done) / seconds, (self.gpu_busy - busy) / seconds / 1000

    def _step_thread(self) -> Thread:
        call_before = 0.0
        while True:
            for job in self._jobs:
                if job.is_new:
                    job.is_new, job.previewed = False, self.clock.now
                    yield "python", PREPARE_MS
            taken = self._jobs[: MAX_ROWS // ROWS_OF_A_GRID]
            self._jobs = self._jobs[len(taken) :] + taken
            if not taken:
                yield "idle", 0
                continue
            yield "python", ROWS_MS * len(taken)
            start = self.clock.now
            yield "python", self.setup.launch
            self._queue_on_gpu(self.setup.row * ROWS_OF_A_GRID * len(taken) + KERNELS_MS * len(taken), start)
            for job in taken:
                yield "python", ADVANCE_MS
                self._advance(job)
            yield "until", call_before  # one call runs while the next is prepared
            call_before = self.gpu_end

    def _advance(self, job: Job) -> None:
        job.steps -= 1
        if not job.steps:
            self._jobs.remove(job)
            self._decoding.append(("grid", self.gpu_end))
        elif self.clock.now - job.previewed >= PREVIEW_EVERY_MS:
            job.previewed = self.clock.now
            self._decoding.append(("preview", self.gpu_end))

    def _queue_on_gpu(self, work: float, start: float) -> None:
        self.gpu_end = max(self.gpu_end, start) + work
        self.gpu_end = max(self.gpu_end, self.clock.now)
        self.gpu_busy += work

    def _post_processor(self) -> Thread:
        while True:
            if not self._decoding:
                yield "idle", 0
                continue
            kind, ready = self._decoding.popleft()
            work = self.setup.decode * TILES if kind == "grid" else 0.0
            yield "python", PREVIEW_MS
            start = max(self.clock.now, ready)
            self._queue_on_gpu(work, start)
            yield "until", start + (2 * work if self._jobs else work)  # it may share the GPU with a UNet call
            if work:
                grid = Grid()
                self._encoding.append((grid, self.setup.sheet))
                self._encoding.extend((grid, self.setup.png) for _ in range(TILES))

    def _encoder(self) -> Thread:
        while True:
            if not self._encoding:
                yield "idle", 0
                continue
            grid, work = self._encoding.popleft()
            yield "work", work
            grid.files -= 1
            if not grid.files:
                self.done += TILES
                self._jobs.append(Job())


def main() -> None:
    """Print the pictures a second for one to eight people, and beside stock pipelines one after another."""
    print("pictures a second (busy GPU)         " + "".join(f"{people:>8} people " for people in PEOPLE) + "  stock")
    for setup in SETUPS:
        figures = [Model(setup, people).pictures_per_second() for people in PEOPLE]
        stock = TILES / setup.stock_grid * 1000
        cells = "".join(f"{pictures:7.2f} ({busy:4.0%}) " for pictures, busy in figures)
        print(f"{setup.name:36} {cells} {stock:6.2f}   ×{figures[0][0] / stock:.2f} to ×{figures[-1][0] / stock:.2f}")


if __name__ == "__main__":
    main()
