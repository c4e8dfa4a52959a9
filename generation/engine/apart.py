"""Keep what loading switches for the whole process away from the steps that go on meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def apart_from(step_under_way: threading.Lock) -> Iterator[None]:
    """Let nobody hold `step_under_way` while diffusers or transformers have changed torch's default precision.

    They do so while they make a network in half precision, for every thread and until it is made, which is a fraction
    of the time that loading takes. A step that drew its noise in that moment would draw it in half precision.
    """
    switch, usual = torch.set_default_dtype, torch.get_default_dtype()
    is_alone = False

    def switch_alone(precision: torch.dtype) -> None:
        nonlocal is_alone
        if precision != usual and not is_alone:
            is_alone = step_under_way.acquire()
        switch(precision)
        if precision == usual and is_alone:
            is_alone = False
            step_under_way.release()

    torch.set_default_dtype = switch_alone
    try:
        yield
    finally:
        switch_alone(usual)  # after an error they leave it as it is
        torch.set_default_dtype = switch
