"""Keep the CPU from running ahead of the GPU."""

from __future__ import annotations

from typing import Any

import torch

from generation.engine.device.transfer import is_asynchronous


class StepThrottle:
    """Lets at most one step run on the GPU while the next is prepared.

    Without it dozens of steps would be queued there: progress would be wrong, and a cancelled job would run to its end.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._module: Any = torch.get_device_module(device) if is_asynchronous(device) else None
        self._last_event: Any = None

    def wait(self) -> None:
        """Record the end of a step, and wait until the GPU has finished the one before."""
        if not self._module:
            return
        before, self._last_event = self._last_event, self._module.Event()
        self._last_event.record(self._module.current_stream(self._device))  # the default is the first GPU's stream
        if before is not None:
            before.synchronize()
