"""A device that only says that it is one: its tensors are computed on the CPU, and every wait for it is recorded.

It raises where a GPU would for tensors on two devices. `enter()` makes the process pretend, for good.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

ROOT = Path(__file__).parents[2]
DEVICE = torch.device("privateuseone:0")
CPU = torch.device("cpu")
aten = torch.ops.aten
LISTS = (list, tuple)
READS = ("_local_scalar_dense", "item", "is_nonzero", "nonzero", "equal", "masked_select", "_unique2", "linalg_solve")
NOT_MIXED = (aten.index.Tensor, aten.index_put_.default, aten._index_put_impl_.default, aten.copy_.default)


class Waits:
    """The waits of each thread: what was waited for, and where in this project."""

    def __init__(self) -> None:
        self.on, self.seen = True, list[tuple[str, str, str]]()

    def add(self, what: str) -> None:
        if self.on:
            self.seen.append((threading.current_thread().name.partition("_")[0], what, _place()))

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        self.on = False
        yield
        self.on = True


WAITS = Waits()


def _place() -> str:
    frame, places = sys._getframe(2), list[str]()
    while frame is not None and len(places) < 2:
        name = frame.f_code.co_filename
        if name.startswith(str(ROOT / "generation")):
            places.append(f"{name[len(str(ROOT)) + 1 :]}:{frame.f_lineno}")
        frame = frame.f_back  # type: ignore[assignment]
    return " < ".join(places)


class PretendTensor(Tensor):
    """A tensor on the pretended device, around a real one on the CPU."""

    held: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]  # it dispatches, which is enough

    @staticmethod
    def __new__(cls, real: Tensor) -> PretendTensor:
        made = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            real.size(),
            strides=real.stride(),
            storage_offset=real.storage_offset(),
            dtype=real.dtype,
            device=DEVICE,
        )
        made.held = real
        return made

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if id(self) not in memo:
            memo[id(self)] = on_device(self.held.clone(), parameter=isinstance(self, torch.nn.Parameter))
        return memo[id(self)]

    def __getitem__(self, index: Any) -> Any:
        """Return a part; a list as index would reach the device without a dispatch."""
        return super().__getitem__(torch.tensor(index).to(DEVICE) if isinstance(index, list) else index)

    def tolist(self) -> Any:
        """Return the values, which would leave the device without a dispatch."""
        return self.cpu().tolist()

    def record_stream(self, stream: Any) -> None:
        """Remember nothing: the memory is the CPU's."""

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _dispatch(func, args, kwargs or {})


def on_device(real: Tensor, *, parameter: bool = False) -> Any:
    """Put a tensor of the CPU on the device, without recording it."""
    wrapped = PretendTensor(real.detach())
    return torch.nn.Parameter(wrapped, requires_grad=False) if parameter else wrapped


def _on_device(value: Any) -> bool:
    return value is not None and torch.device(value).type == DEVICE.type


def _tensors(values: Any) -> Iterator[Tensor]:
    """Yield the tensors among values and lists of them: torch's own `tree_flatten` takes most of the tests' time."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, LISTS):
            yield from _tensors(value)


def _held(value: Any) -> Any:
    """Return the real tensors of values."""
    if isinstance(value, PretendTensor):
        return value.held
    return type(value)(map(_held, value)) if isinstance(value, LISTS) else value


def _wrapped(value: Any) -> Any:
    """Return tensors on the device for real ones."""
    if isinstance(value, Tensor):
        return PretendTensor(value)
    return type(value)(map(_wrapped, value)) if isinstance(value, LISTS) else value


@cache
def _name(func: Any) -> str:
    return str(func._schema.name.removeprefix("aten::"))


def _dispatch(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    name, tensors = _name(func), [*_tensors(args), *_tensors(kwargs.values())]
    others = [each for each in tensors if not isinstance(each, PretendTensor)]
    pretended = len(others) < len(tensors)
    if pretended and func not in NOT_MIXED and any(each.dim() for each in others):
        raise RuntimeError(f"Expected all tensors to be on the same device, but found two ({name})")
    _record_reads(func, name, args, pretended)
    target = _on_device(kwargs["device"]) if kwargs.get("device") is not None else pretended
    if name in ("_to_copy", "copy_"):
        _record_copy(name, args, kwargs, target)
    plain = _held(args)
    with torch._C._DisableTorchDispatch():  # type: ignore[attr-defined]
        out = func(*plain, **_without_device(kwargs))
    if name in ("_local_scalar_dense", "item", "is_nonzero", "equal"):
        return out
    if name.endswith("_") and args and isinstance(args[0], Tensor) and out is plain[0]:
        return args[0]
    if plain and out is plain[0] and name == "_to_copy":
        out = out.clone()  # nothing moves on the CPU, but it would
    return _wrapped(out) if target else out


def _record_reads(func: Any, name: str, args: Any, pretended: bool) -> None:
    """Record what makes the CPU wait for a value."""
    if pretended and name in READS:
        WAITS.add(name)
    if func in NOT_MIXED[:3]:
        indices = [each for each in args[1] if isinstance(each, Tensor)]
        if isinstance(args[0], PretendTensor) and any(each.dtype is torch.bool for each in indices):
            WAITS.add(f"{name} with a mask")
        if isinstance(args[0], PretendTensor) and not all(isinstance(each, PretendTensor) for each in indices):
            WAITS.add(f"{name} with indices on the CPU")


def _record_copy(name: str, args: Any, kwargs: dict[str, Any], target: bool) -> None:
    """Record a copy between the devices that waits: from or to memory that is not pinned, or not asked to go on."""
    to, source = (args[0], args[1]) if name == "copy_" else (None, args[0])
    to_device, from_device = (
        isinstance(to, PretendTensor) if to is not None else target,
        isinstance(source, PretendTensor),
    )
    if to_device == from_device:
        return
    host = source if to_device else to
    asynchronous = (args[2] if len(args) > 2 else kwargs.get("non_blocking")) and getattr(host, "pinned", False)
    if not asynchronous:
        WAITS.add(f"copy {'to' if to_device else 'from'} the device of {tuple(source.shape)}")


def _without_device(kwargs: dict[str, Any]) -> dict[str, Any]:
    kwargs = {name: _held(value) for name, value in kwargs.items() if name not in ("pin_memory", "non_blocking")}
    return kwargs | {"device": CPU} if _on_device(kwargs.get("device")) else kwargs


class _Dispatch(TorchDispatchMode):
    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled here, and hiding from the compiler would import it

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if _on_device(kwargs.get("device")) or any(isinstance(each, PretendTensor) for each in _tensors(args)):
            return _dispatch(func, args, kwargs)
        return func(*args, **kwargs)


def _makes_tensors(make: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Let a function that makes tensors of lists make them on the device too, which it would without a dispatch."""

    def make_there(*args: Any, **kwargs: Any) -> Tensor:
        if _on_device(kwargs.get("device")):
            device = kwargs.pop("device")
            return make(*args, **kwargs).to(device)
        return make(*args, **kwargs)

    return make_there


def _pin_memory(tensor: Tensor, *_: Any) -> Tensor:
    copy = tensor.clone()
    copy.pinned = True  # type: ignore[attr-defined]
    return copy


class _Event:
    def __init__(self, **_: Any) -> None: ...

    def record(self, _: Any = None) -> None: ...

    def synchronize(self) -> None:
        WAITS.add("event")


class _Stream:
    def __init__(self, _: Any = None) -> None: ...

    def wait_event(self, _: Any) -> None: ...


class _Module:
    """The module `torch.privateuseone`, with what `torch.cuda` has."""

    Event, Stream = _Event, _Stream

    def is_initialized(self) -> bool:
        return True

    is_available = is_initialized

    def device_count(self) -> int:
        return 1

    def current_device(self) -> int:
        return 0

    def _is_in_bad_fork(self) -> bool:
        return False

    def manual_seed_all(self, seed: int) -> None: ...

    def current_stream(self, _: Any = None) -> _Stream:
        return _Stream()

    default_stream = current_stream

    def stream(self, _: Any) -> Any:
        return contextlib.nullcontext()


def enter() -> None:
    """Pretend in this process, on all its threads; call it before modules of the engine are imported."""
    _setup_privateuseone_for_python_backend(backend_module=_Module())
    torch.inference_mode = torch.no_grad  # type: ignore[misc, assignment]  # views of wrapped tensors are forbidden in it
    run = threading.Thread.run

    def pretending(thread: threading.Thread) -> None:
        with _Dispatch():
            run(thread)

    threading.Thread.run = pretending  # type: ignore[method-assign]
    torch.tensor, torch.as_tensor = _makes_tensors(torch.tensor), _makes_tensors(torch.as_tensor)
    Tensor.pin_memory = _pin_memory  # type: ignore[method-assign]
    _Dispatch().__enter__()


def move(network: torch.nn.Module) -> None:
    """Move a network to the device, in a precision of 16 bits that the CPU computes quickly."""
    for module in network.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                module._parameters[name] = on_device(parameter.detach().bfloat16(), parameter=True)
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = on_device(buffer.bfloat16() if buffer.is_floating_point() else buffer)
