"""Keep the processor from running ahead of the GPU."""

from __future__ import annotations

import torch


class StepThrottle:
    """Lets at most one step be under way on the GPU while the next is prepared.

    Without it dozens of steps would be queued there: progress would be untrue and a cancelled job drawn to its end.
    """

    def __init__(self, device: torch.device) -> None:
        self._device, self._is_async = device, device.type == "cuda"
        self._last_event: torch.cuda.Event | None = None

    def wait(self) -> None:
        """Mark the end of a step, and wait until the GPU has come to the end of the one before."""
        if not self._is_async:
            return
        before, self._last_event = self._last_event, torch.cuda.Event()  # type: ignore[no-untyped-call]
        self._last_event.record(torch.cuda.current_stream(self._device))  # else the first GPU's, whichever draws
        if before is not None:
            before.synchronize()
