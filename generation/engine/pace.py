"""Keep the processor from running ahead of the GPU."""

from __future__ import annotations

import torch


class Pace:
    """Lets at most one step be under way on the GPU while the next is prepared.

    Without it dozens of steps would be queued there: progress would be untrue and a cancelled job drawn to its end.
    """

    def __init__(self, device: torch.device) -> None:
        self._device, self._asynchronous = device, device.type == "cuda"
        self._last: torch.cuda.Event | None = None

    def keep(self) -> None:
        """Mark the end of a step, and wait until the GPU has come to the end of the one before."""
        if not self._asynchronous:
            return
        before, self._last = self._last, torch.cuda.Event()  # type: ignore[no-untyped-call]
        self._last.record(torch.cuda.current_stream(self._device))  # else the first GPU's, whichever draws
        if before is not None:
            before.synchronize()
