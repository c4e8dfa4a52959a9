"""`main.py preview` on the command line: with the tiny model, from any folder, until Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.support.preview_page import ROOT, PreviewProcess, find_grids, send_command, visit
from tests.support.timing import LOAD_TIMEOUT_S
from tests.support.tiny_model import build_tiny_model


@pytest.fixture(scope="module")
def project_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with only a model in it, outside the project."""
    folder = tmp_path_factory.mktemp("home")
    build_tiny_model(folder / "model")
    return folder


def run_preview(project_folder: Path, *arguments: str, model: str = "model") -> subprocess.CompletedProcess[str]:
    """Run the command until it exits."""
    command = [sys.executable, str(ROOT / "main.py"), "preview", "--no-browser", *arguments]
    environment = {"PATH": "/usr/bin:/bin", "MODEL": model, "DATA_DIR": "kept"}
    return subprocess.run(
        command, cwd=project_folder, env=environment, capture_output=True, text=True, timeout=LOAD_TIMEOUT_S
    )


@pytest.mark.asyncio(loop_scope="session")
async def test_the_preview_generates_with_a_real_model_and_stops_cleanly(project_folder, browser, monkeypatch):
    monkeypatch.setenv("DATA_DIR", str(project_folder / "kept"))
    monkeypatch.setenv("ALLOWED_GUILDS", "175928847299117063")  # of the real bot
    running = PreviewProcess(project_folder, str(ROOT / "main.py"), "preview", "--no-browser", "--port", "{port}")
    async with visit(browser, running.address, ignore="/feed") as page:
        await send_command(page, "imagine", "a red fox under the moon")
        grid = find_grids(page, "a red fox under the moon")
        await grid.wait_for(timeout=1000 * LOAD_TIMEOUT_S)
        size = await grid.locator("img.shown").evaluate("image => image.decode().then(() => image.naturalWidth)")
        assert size == 128
        second = await asyncio.to_thread(run_preview, project_folder, "--port", "0")
        assert (second.returncode, second.stdout) == (2, "")
        assert "another preview is already using" in second.stderr
        children = running.children()
        assert len(children) >= 2
        assert await asyncio.to_thread(running.stop, signal.SIGINT) == 0
        await expect(page.locator("#offline")).to_be_visible()
    assert not [each for each in children if each.is_running() and each.status() != "zombie"]


def test_a_taken_port_is_reported(project_folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run_preview(project_folder, "--port", str(port))
    assert result.returncode == 2
    assert f"port {port} is taken" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_missing_model_is_reported(project_folder):
    result = run_preview(project_folder, "--port", "0", model="./nowhere")
    assert result.returncode == 2
    assert "nowhere" in result.stderr
    assert "Traceback" not in result.stderr
