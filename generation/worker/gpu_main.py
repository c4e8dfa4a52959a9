"""The GPU process's main loop: receive messages, step the engine, send events."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import NoReturn

from generation import logs
from generation.engine.base import Emit, Engine
from generation.errors import MachineLost, ModelUnreachable, UserError, first_line
from generation.messages import Cancel, Crashed, Event, Generate, Inbound, Ready, Stop

log = logging.getLogger(__name__)


def main(pipe: Connection[Event, Inbound], load: Callable[[Emit], Engine], log_config: logs.LogConfig) -> None:
    """Load the engine and serve jobs until told to stop or the pipe closes; the target of the spawned process."""
    for name in ("SIGINT", "SIGTERM", "SIGBREAK"):  # Ctrl-C reaches the whole group, but only the bot decides
        if number := getattr(signal, name, None):  # SIGBREAK is Windows' Ctrl+Break
            signal.signal(number, signal.SIG_IGN)
    logs.configure(log_config)
    threading.Thread(target=_exit_with_parent, name="orphan watch", daemon=True).start()
    sender = _EventSender(pipe)
    threading.excepthook = lambda failed: sender.report_crash(failed.exc_value or failed.exc_type())
    try:
        engine = load(sender.emit)
        sender.emit(Ready(engine.model, engine.device))
        run_engine(engine, pipe)
        end_process(0)  # at once: taking thousands of modules apart would take half a second
    except UserError as error:  # about the model; the engine reports those about a job
        sender.emit(Crashed(str(error), permanent=True))
    except BaseException as error:
        sender.report_crash(error)


def run_engine(engine: Engine, pipe: Connection[Event, Inbound]) -> None:
    """Step the engine while it has jobs, and hand it the messages from the pipe until told to stop."""
    idle_seconds = 0.0
    while True:
        while not engine.busy or pipe.poll():
            since = None if engine.busy else time.monotonic()
            message = _receive(pipe)
            idle_seconds += time.monotonic() - since if since is not None else 0.0
            match message:
                case Generate() as request:
                    with logs.log_context(job=request.job_id):
                        log.info("it begins after %.3f s without a step to make", idle_seconds)
                        engine.add(request)
                    idle_seconds = 0.0
                case Cancel(job_id):
                    with logs.log_context(job=job_id):
                        engine.cancel(job_id)
                case Stop():
                    return
        engine.step()


def _receive(pipe: Connection[Event, Inbound]) -> Inbound:
    try:
        return pipe.recv()
    except (EOFError, OSError):  # the bot has ended, perhaps in the middle of a message
        return Stop()


class _EventSender:
    """Sends events through the pipe, for the step loop and the engines' threads."""

    def __init__(self, pipe: Connection[Event, Inbound]) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()

    def emit(self, event: Event) -> None:
        with self._lock, contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the main loop notices it too
            self._pipe.send(event)

    def report_crash(self, error: BaseException) -> None:
        """Log the error and exit immediately: after a CUDA error even an orderly exit may hang."""
        lost, unreachable = isinstance(error, MachineLost), isinstance(error, ModelUnreachable)
        if not lost and not unreachable:  # which the bot expects, and logs
            log.critical("the GPU process ends because of an unexpected error", exc_info=error)
        text = first_line(error) if unreachable else f"{type(error).__name__}: {first_line(error)}".removesuffix(": ")
        self.emit(Crashed(text, lost=lost))
        end_process(1)


def end_process(code: int) -> NoReturn:
    """End this process immediately, with nothing left of it but its log."""
    logging.shutdown()
    os._exit(code)


def _exit_with_parent() -> None:
    """Exit when the bot's process dies: a long load or a hung step must not keep the GPU."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
