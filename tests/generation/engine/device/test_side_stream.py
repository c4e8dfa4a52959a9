"""Where a device has no streams, as Apple's GPU here, results still come to the CPU."""

from __future__ import annotations

import torch

from generation.engine.device.side_stream import SideStream


class TensorElsewhere:
    """A tensor on another device."""

    def cpu(self) -> torch.Tensor:
        return torch.ones(1)


def test_tensors_of_a_device_without_streams_are_fetched() -> None:
    stream = SideStream(torch.device("mps"))
    with stream.after(stream.handover()):
        fetched = stream.fetch([TensorElsewhere()])  # type: ignore[list-item]
    assert torch.equal(fetched[0], torch.ones(1))
