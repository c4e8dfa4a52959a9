"""A compiled UNet gives the same result as the plain one, which takes over when compiling fails."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from generation.engine.networks import compiled
from generation.engine.networks.compiled import CompiledUnet, compile_blocks
from generation.engine.networks.pipeline_loader import Pipeline
from generation.messages import Finished
from tests.support.engine_harness import EngineHarness, assert_close, make_params, make_request
from tests.support.timing import TIMEOUT_S


class TinyNet(torch.nn.Module):
    """A miniature UNet that mixes nothing between rows."""

    dtype, device = torch.float32, torch.device("cpu")

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(4, 4, 3, padding=1)
        self.rows: list[int] = []

    def forward(
        self, latents: Tensor, timesteps: Tensor, encoder_hidden_states: Tensor, added: Any = None, **_: Any
    ) -> tuple[Tensor]:
        more = encoder_hidden_states.mean((1, 2)) + timesteps + (0 if added is None else added["text_embeds"].sum(1))
        return (self.conv(latents) * more[:, None, None, None],)


class FakeCompiler:
    """A fake torch.compile that records the rows of each call and passes them to `work`."""

    def __init__(self, work: Callable[[int], None] = lambda _: None) -> None:
        self.rows: list[int] = []
        self.threads: list[str] = []
        self.work = work

    def __call__(self, unet: Any, **_: Any) -> Any:
        def run(latents: Tensor, timesteps: Tensor, **conditions: Any) -> Any:
            self.rows.append(len(latents))
            self.threads.append(threading.current_thread().name)
            self.work(len(latents))
            return unet(latents, timesteps, **conditions)

        return run


def _inputs(rows: int, side: int = 8, words: int = 5) -> dict[str, Any]:
    torch.manual_seed(rows)
    return {
        "latents": torch.randn(rows, 4, side, side),
        "timesteps": torch.rand(rows),
        "encoder_hidden_states": torch.randn(rows, words, 3),
        "added": {"text_embeds": torch.randn(rows, 2)},
    }


def _call_repeatedly(
    unet: CompiledUnet, times: int = compiled.CALLS_BEFORE_COMPILING, rows: int = 8, **shape: int
) -> None:
    for _ in range(times):
        unet(**_inputs(rows, **shape))
    _wait_for_compiler(unet)


def _wait_for_compiler(unet: CompiledUnet) -> None:
    """Wait until everything requested is compiled."""
    unet._thread.submit(lambda: None).result(TIMEOUT_S)


@pytest.fixture
def make_compiled() -> Iterator[Callable[..., CompiledUnet]]:
    made: list[CompiledUnet] = []

    def make_compiled(compiler: Any) -> CompiledUnet:
        made.append(CompiledUnet(TinyNet(), compiler))
        return made[-1]

    yield make_compiled
    for each in made:
        each.close()


@pytest.mark.parametrize(("rows", "bucket"), [(1, 2), (2, 2), (3, 4), (6, 8), (8, 8), (9, 16), (17, 24), (32, 32)])
def test_rows_are_padded_to_the_next_bucket_without_changing_predictions(
    make_compiled: Any, rows: int, bucket: int
) -> None:
    compiler = FakeCompiler()
    unet = make_compiled(compiler)
    _call_repeatedly(unet, rows=rows)
    given = _inputs(rows)
    with torch.inference_mode():
        predicted = unet(**given)[0]
        assert_close(predicted, unet._unet(**given)[0])
    assert compiler.rows == [bucket, bucket]
    assert compiler.threads[0].startswith("compiling")
    assert compiler.threads[1] == threading.current_thread().name


def test_rare_and_large_shapes_run_uncompiled(make_compiled: Any) -> None:
    compiler = FakeCompiler()
    unet = make_compiled(compiler)
    _call_repeatedly(unet, compiled.CALLS_BEFORE_COMPILING - 1)
    _call_repeatedly(unet, rows=33)
    assert not compiler.rows


def test_every_size_and_text_length_is_compiled_separately(make_compiled: Any) -> None:
    compiler = FakeCompiler()
    unet = make_compiled(compiler)
    for shape in ({}, {"side": 12}, {"words": 10}):
        _call_repeatedly(unet, **shape)
    assert len(unet._ready) == len(compiler.rows) == 3


def test_the_number_of_compiled_shapes_is_limited(make_compiled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "MAX_SHAPES", 2)
    compiler = FakeCompiler()
    unet = make_compiled(compiler)
    for words in range(1, 6):
        _call_repeatedly(unet, words=words)
    assert len(unet._ready) == len(compiler.rows) == 2


def test_while_a_shape_is_compiled_all_calls_run_uncompiled(make_compiled: Any) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def work(rows: int) -> None:
        if rows == 16:
            begun.set()
            assert may_end.wait(TIMEOUT_S)

    compiler = FakeCompiler(work)
    unet = make_compiled(compiler)
    _call_repeatedly(unet, rows=8)
    for _ in range(compiled.CALLS_BEFORE_COMPILING):
        unet(**_inputs(16))
    assert begun.wait(TIMEOUT_S)
    unet(**_inputs(8))
    assert compiler.rows == [8, 16]
    may_end.set()
    _wait_for_compiler(unet)
    unet(**_inputs(8))
    assert compiler.rows == [8, 16, 8]


def test_nothing_compiled_runs_while_another_models_unet_is_compiled(make_compiled: Any) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def work(_: int) -> None:
        begun.set()
        assert may_end.wait(TIMEOUT_S)

    compiler, slow = FakeCompiler(), FakeCompiler(work)
    unet, other = make_compiled(compiler), make_compiled(slow)
    _call_repeatedly(unet)
    for _ in range(compiled.CALLS_BEFORE_COMPILING):
        other(**_inputs(8))
    assert begun.wait(TIMEOUT_S)
    unet(**_inputs(8))
    assert len(compiler.rows) == 1
    may_end.set()
    _wait_for_compiler(other)
    unet(**_inputs(8))
    assert len(compiler.rows) == 2


def test_a_failing_compiler_is_logged_once_and_not_used_again(
    make_compiled: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def work(_: int) -> None:
        raise ValueError("no C++ compiler\nand many lines more")

    compiler = FakeCompiler(work)
    unet = make_compiled(compiler)
    with caplog.at_level(logging.INFO):
        _call_repeatedly(unet, rows=8)
        _call_repeatedly(unet, rows=16)
    assert compiler.rows == [8]
    assert [record.message for record in caplog.records] == [
        "the UNet cannot be compiled, and runs uncompiled: no C++ compiler"
    ]
    assert unet(**_inputs(8))[0].shape == (8, 4, 8, 8)


def test_a_shape_is_compiled_again_after_running_out_of_memory(make_compiled: Any) -> None:
    refusals = [torch.OutOfMemoryError("CUDA out of memory.")]

    def work(_: int) -> None:
        if refusals:
            raise refusals.pop()

    unet = make_compiled(FakeCompiler(work))
    _call_repeatedly(unet)
    assert not unet._ready
    _call_repeatedly(unet)
    assert len(unet._ready) == 1


def test_running_out_of_memory_in_a_compiled_call_is_raised(make_compiled: Any) -> None:
    full = False

    def work(_: int) -> None:
        if full:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    unet = make_compiled(FakeCompiler(work))
    _call_repeatedly(unet)
    full = True
    with pytest.raises(torch.OutOfMemoryError):
        unet(**_inputs(8))
    full = False
    unet(**_inputs(8))


def test_torchs_own_compiler_takes_each_shape_once_and_never_during_a_step(make_compiled: Any) -> None:
    traced: list[tuple[str, int]] = []

    def backend(graph: Any, examples: list[Any]) -> Any:
        rows = max((len(each) for each in examples if isinstance(each, Tensor) and each.ndim == 4), default=0)
        traced.append((threading.current_thread().name.partition("_")[0], rows))
        return graph.forward

    torch._dynamo.reset()
    unet = make_compiled(lambda unet, **how: torch.compile(unet, backend=backend, **how))
    with torch.inference_mode():
        for rows in (8, 3, 8, 16):
            _call_repeatedly(unet, rows=rows)
            given = _inputs(rows)
            assert_close(unet(**given)[0], unet._unet(**given)[0])
    assert {thread for thread, _ in traced} == {"compiling"}
    assert sorted(rows for _, rows in traced) == [4, 8, 16]


def test_only_the_blocks_of_a_unet_are_compiled_and_its_output_stays(pipeline: Pipeline) -> None:
    graphs: list[Any] = []

    def backend(graph: Any, _: list[Any]) -> Any:
        graphs.append(graph)
        return graph.forward

    torch._dynamo.reset()
    unet = pipeline.unet
    compiled_unet = compile_blocks(unet, dynamic=False, backend=backend)
    blocks = [block for block in compiled_unet.modules() if type(block).__name__ in compiled.BLOCKS]
    given = torch.randn(2, unet.config.in_channels, 8, 8), torch.full((2,), 500.0)
    text = torch.randn(2, 7, unet.config.cross_attention_dim)
    with torch.inference_mode():
        plain, again = (each(*given, encoder_hidden_states=text)[0] for each in (unet, compiled_unet))
    assert torch.equal(plain, again)
    assert 0 < len(graphs) <= len(blocks)
    assert next(compiled_unet.parameters()).data_ptr() == next(unet.parameters()).data_ptr()
    assert not any(block._compiled_call_impl for block in unet.modules())


def test_a_warm_up_compiles_the_first_shape_before_it_returns(make_compiled: Any) -> None:
    may_go_on = threading.Event()
    compiler = FakeCompiler(lambda rows: None if rows == 8 else _wait(may_go_on))
    unet = make_compiled(compiler)
    calls = [_inputs(rows) for rows in (8, 16, 64)]
    unet.warm_up((call.pop("latents"), call.pop("timesteps"), call) for call in calls)
    assert {shape.rows for shape in unet._ready} == {8}
    unet(**_inputs(8))
    may_go_on.set()
    _call_repeatedly(unet, rows=16)
    assert {shape.rows for shape in unet._ready} == {8, 16}
    on_its_thread = [rows for rows, name in zip(compiler.rows, compiler.threads, strict=True) if "compiling" in name]
    assert on_its_thread == [8, 16], "none is compiled again for being called often"


def _wait(event: threading.Event) -> None:
    assert event.wait(TIMEOUT_S)


def test_an_engine_warms_up_with_the_rows_that_its_grids_have(pipeline: Pipeline, harness: EngineHarness) -> None:
    compiler = FakeCompiler()
    harness.engine._compiled = CompiledUnet(pipeline.unet, compiler)
    harness.engine.warm_up()
    side = pipeline.model.native_size
    params = make_params(count=4, width=side, height=side)
    harness.generate(make_request("grid", params))
    assert compiler.rows == [8] * (1 + params.num_inference_steps)
    assert compiler.threads.count(compiler.threads[0]) == 1, "no step compiled"


def test_on_a_gpu_every_call_has_one_of_few_numbers_of_rows(pipeline: Pipeline, harness: EngineHarness) -> None:
    rows: list[int] = []
    hook = pipeline.unet.register_forward_pre_hook(lambda _, given: rows.append(len(given[0])))
    harness.generate(make_request("plain", make_params(count=3)))
    harness.engine._has_row_buckets = True
    harness.generate(make_request("padded", make_params(count=3)))
    hook.remove()
    steps = make_params().num_inference_steps
    assert rows == [6] * steps + [8] * steps
    assert_close(harness.latents["padded"], harness.latents["plain"], 1e-5)


def test_more_shapes_are_compiled_than_torch_allows_by_default(make_compiled: Any) -> None:
    graphs: list[Any] = []

    def backend(graph: Any, _: list[Any]) -> Any:
        graphs.append(graph)
        return graph.forward

    torch._dynamo.reset()
    unet = make_compiled(lambda unet, **how: torch.compile(unet, backend=backend, **how))
    calls = [_inputs(2, words=words) for words in range(1, 13)]
    unet.warm_up((call.pop("latents"), call.pop("timesteps"), call) for call in calls)
    _wait_for_compiler(unet)
    assert len(graphs) == len(unet._ready) == 12


def test_an_engine_generates_the_same_with_a_compiled_unet(
    pipeline: Pipeline, harness: EngineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "CALLS_BEFORE_COMPILING", 2)
    compiler = FakeCompiler()
    params = make_params(count=3, num_inference_steps=4)
    harness.generate(make_request("plain", params))
    harness.engine._compiled = CompiledUnet(pipeline.unet, compiler)
    harness.engine.add(make_request("compiled", params))
    for _ in range(2):
        harness.engine.step()
    _wait_for_compiler(harness.engine._compiled)
    assert isinstance(harness.generate(make_request("seamless", make_params(seamless=True)))[0], Finished)
    harness.wait_for_end("compiled")
    assert compiler.rows == [8] * 3
    assert_close(harness.latents["compiled"], harness.latents["plain"], 1e-5)
