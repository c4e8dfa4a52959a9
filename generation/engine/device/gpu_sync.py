"""Keep the CPU from running ahead of the GPU."""

from __future__ import annotations

import torch


class StepThrottle:
    """Lets at most one step run on the GPU while the next is prepared.

    Without it dozens of steps would be queued there: progress would be wrong, and a cancelled job would run to its end.
    """

    def __init__(self, device: torch.device) -> None:
        self._device, self._is_async = device, device.type == "cuda"
        self._last_event: torch.cuda.Event | None = None

    def wait(self) -> None:
        """Record the end of a step, and wait until the GPU has finished the one before."""
        if not self._is_async:
            return
        before, self._last_event = self._last_event, torch.cuda.Event()  # type: ignore[no-untyped-call]
        self._last_event.record(torch.cuda.current_stream(self._device))  # the default is the first GPU's stream
        if before is not None:
            before.synchronize()
