"""The installer creates, repairs and updates .venv, shows what it does, and picks the build of PyTorch."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from scripts import install, torch_build
from scripts.install import Environment, InstallError, Progress, describe_file, explain_failure
from scripts.torch_build import Machine, choose_build, read_amd, read_nvidia

ROOT = Path(__file__).resolve().parents[2]
NO_GPU = Machine()
POSIX_ONLY = pytest.mark.skipif(os.name == "nt", reason="uses a POSIX virtual environment")
PYTHON_TAG = f"cp{sys.version_info[0]}{sys.version_info[1]}"

# A build backend that needs no package, so that pip can install the project without a network.
BACKEND = """
import zipfile
def build_editable(folder, settings=None, metadata=None):
    name = "studio-1.0-py3-none-any.whl"
    with zipfile.ZipFile(f"{folder}/{name}", "w") as wheel:
        info = "studio-1.0.dist-info"
        extra = 'Provides-Extra: dev\\nRequires-Dist: tools; extra == "dev"\\n'
        extra += 'Provides-Extra: film\\nRequires-Dist: films; extra == "film"\\n'
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: studio\\nVersion: 1.0\\n"
                       "Requires-Dist: torch\\n" + extra)
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{info}/RECORD", "")
    return name
"""


def write_wheel(folder: Path, name: str, version: str) -> None:
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}.py", "")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


@pytest.fixture
def project(tmp_path, monkeypatch) -> Environment:
    """A project whose packages are small files in a folder, for a pip without a network."""
    for name, text in {
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "studio"\nversion = "1.0"\ndependencies = ["torch>=2,<3"]\n'
        '[project.optional-dependencies]\ndev = ["tools"]\nfilm = ["films"]\n',
        "backend.py": BACKEND,
        "constraints.txt": "torch==2.13.0\n",
    }.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    write_wheel(wheels, "torch", "2.13.0+cpu")
    write_wheel(wheels, "tools", "1.0")
    write_wheel(wheels, "films", "1.0")
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setattr(install.shutil, "which", lambda name: None)  # no uv
    monkeypatch.setattr(torch_build, "has_wheel", lambda tag, version: None)
    return Environment(tmp_path)


def installed(project: Environment) -> set[str]:
    code = "from importlib.metadata import distributions; print(*(d.name for d in distributions()))"
    names = subprocess.run([project.python, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    return {name.lower() for name in names} & {"studio", "torch", "tools", "films"}


def without_pip(monkeypatch) -> None:
    """Make environments quickly, and install nothing into them."""
    monkeypatch.setattr(install, "VENV", ("-m", "venv", "--without-pip"))
    monkeypatch.setattr(install, "_install_packages", lambda *_: None)


def run_install(project: Environment, *, dev: bool = False, extras: tuple[str, ...] = ()) -> None:
    install.install(project, dev=dev, choice=None, machine=NO_GPU, extras=extras)


@POSIX_ONLY
def test_the_bot_gets_its_own_packages_and_the_tests_theirs_and_all_stay(project, capsys):
    """The start is what Debian leaves without python3-venv: an environment without pip, which is repaired."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", project.folder], check=True)
    run_install(project)
    assert installed(project) == {"studio", "torch"}
    said = capsys.readouterr().out
    assert "Up to 3.0 GB to download" in said
    assert re.search(r"^ +1  torch 2.13.0\+cpu$", said, re.MULTILINE)
    run_install(project)
    assert capsys.readouterr().out == ""
    (torch,) = project.folder.glob("lib/*/site-packages/torch-*.dist-info")
    shutil.rmtree(torch)
    run_install(project)  # a package that somebody removed comes back
    assert installed(project) == {"studio", "torch"}
    run_install(project, extras=("film",))
    assert installed(project) == {"studio", "torch", "films"}
    run_install(project, dev=True)
    assert installed(project) == {"studio", "torch", "tools", "films"}
    assert "Installing" in capsys.readouterr().out
    run_install(project)  # the tools and the extra stay, and nothing is installed again
    assert installed(project) == {"studio", "torch", "tools", "films"}
    assert capsys.readouterr().out == ""
    assert not project.marker.exists()
    project.marker.write_text("installing\n", encoding="utf-8")  # as a killed installation leaves it
    (project.folder / "bin" / "python").unlink()
    run_install(project)
    assert installed(project) == {"studio", "torch", "tools", "films"}


def test_an_extra_that_does_not_exist_is_named_with_those_that_do(project):
    with pytest.raises(InstallError, match=r"no extra named films\. There are: film\."):
        run_install(project, extras=("films",))


@POSIX_ONLY
def test_an_environment_of_a_python_that_was_upgraded_is_rebuilt(project, capsys, monkeypatch):
    without_pip(monkeypatch)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", project.folder], check=True)
    assert project.is_usable()
    now = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    (project.folder / "lib" / now).rename(project.folder / "lib" / "python3.2")
    assert not project.is_usable()
    run_install(project)
    assert "Rebuilding .venv" in capsys.readouterr().out
    assert project.is_usable()


@POSIX_ONLY
def test_a_killed_installation_is_started_over(project, monkeypatch):
    """What was unpacked when the process was killed is not trusted."""
    without_pip(monkeypatch)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", project.folder], check=True)
    leftover = project.folder / "half-unpacked"
    leftover.touch()
    project.marker.write_text("installing\n", encoding="utf-8")
    run_install(project)
    assert not leftover.exists()
    assert not project.marker.exists()
    assert json.loads(project.stamp.read_text(encoding="utf-8"))["dev"] is False


def test_a_linked_environment_is_replaced_and_what_it_points_to_is_left_alone(project, tmp_path, monkeypatch):
    without_pip(monkeypatch)
    other = tmp_path / "other"
    other.mkdir()
    (other / "kept").touch()
    project.folder.symlink_to(other)
    project.create(None)
    assert not project.folder.is_symlink()
    assert (other / "kept").exists()


@POSIX_ONLY
def test_a_file_in_the_place_of_the_environment_is_replaced(project, monkeypatch):
    without_pip(monkeypatch)
    project.folder.write_text("not a folder", encoding="utf-8")
    run_install(project)
    assert project.is_usable()


def test_a_folder_that_cannot_be_written_is_named(monkeypatch, capsys):
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", "/srv/atelier/.venv.installing")

    monkeypatch.setattr(sys, "argv", ["install"])
    monkeypatch.setattr(install, "find_machine", lambda: NO_GPU)
    monkeypatch.setattr(install, "install", refuse)
    assert install.main() == 2
    assert "Permission denied: /srv/atelier/.venv.installing" in capsys.readouterr().err


@POSIX_ONLY
def test_a_second_installation_at_the_same_time_is_refused(project):
    with install._exclusive(project.marker) as interrupted:
        assert not interrupted
        with pytest.raises(InstallError, match="Another installation"), install._exclusive(project.marker):
            pass


def test_an_installation_that_fails_by_itself_is_not_taken_for_a_killed_one(project):
    with pytest.raises(InstallError), install._exclusive(project.marker):
        raise InstallError("no network")
    with install._exclusive(project.marker) as interrupted:
        assert not interrupted


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk is full"),
        ("WARNING: Retrying … NewConnectionError: … Temporary failure in name resolution", "internet connection"),
        (
            "WARNING: Max retries exceeded … [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed",
            "REQUESTS_CA_BUNDLE",
        ),
        ("ERROR: No matching distribution found for torch==2.13.0", "no build for Python"),
        ("ERROR: something else", "something else"),
    ],
)
def test_a_failure_of_pip_ends_in_what_to_do(output, words):
    assert words in explain_failure(output)


def test_a_missing_venv_module_is_named_with_its_package():
    text = "The virtual environment was not created successfully because ensurepip is not available."
    assert re.search(r"apt install python3\.\d+-venv", install._explain_venv(text))


def test_silence_of_pip_is_broken_by_a_line(capsys):
    progress = Progress()
    progress.read("  Downloading https://example.org/torch-2.13.0%2Bcpu-cp311-cp311-linux_x86_64.whl (183.2 MB)\n")
    progress.spoke -= install.HEARTBEAT_S
    progress.remind()
    progress.remind()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["1", "torch", "2.13.0+cpu,", "183.2", "MB"]
    assert len(lines) == 2
    assert "still fetching torch" in lines[1]


def test_a_wheel_or_an_archive_is_named_by_its_package():
    assert describe_file("/x/discord_py-2.7.1-py3-none-any.whl") == ("discord-py", "2.7.1")
    assert describe_file("toml-0.10.2.tar.gz") == ("toml", "0.10.2")


@POSIX_ONLY
@pytest.mark.parametrize(
    ("index_has", "code", "calls"),
    [
        (True, 0, ["uv venv", "uv pip --torch-backend cpu"]),
        (True, 1, ["uv venv", "uv pip --torch-backend cpu", "pip"]),
        (None, 0, ["uv venv", "pip"]),  # only pip knows how it is configured
    ],
)
def test_uv_installs_where_it_is_there_and_pip_where_it_fails(project, tmp_path, monkeypatch, index_has, code, calls):
    made: list[str] = []

    def run_pip(command: list[str], folder: Path) -> tuple[int, str]:
        made.append("pip")
        return 0, ""

    uv = tmp_path / "uv"
    uv.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n[ "$1" = pip ] && exit {code}\n'
        f'for folder; do :; done\nexec {sys.executable} -m venv --without-pip "$folder"\n',
        encoding="utf-8",
    )
    uv.chmod(0o755)
    monkeypatch.setattr(install.shutil, "which", lambda name: str(uv) if name == "uv" else None)
    monkeypatch.setattr(torch_build, "has_wheel", lambda tag, version: index_has)
    monkeypatch.setattr(install, "run_with_progress", run_pip)
    monkeypatch.setattr(Environment, "add_pip", lambda self: None)
    run_install(project)
    lines = (tmp_path / "calls").read_text(encoding="utf-8").splitlines()
    uv_calls = [
        re.sub(r"^(\w+) .*?(--torch-backend \w+)?( -c .*| --quiet .*)?$", r"uv \1 \2", each).strip() for each in lines
    ]
    assert uv_calls + made == calls


# --- the build of PyTorch


def test_the_driver_says_which_cuda_it_supports():
    assert read_nvidia("| NVIDIA-SMI 570.1  Driver Version: 570.1  CUDA Version: 12.8 |") == Machine("NVIDIA", (12, 8))
    assert read_nvidia("NVIDIA-SMI has failed because it couldn't communicate with the driver.") == NO_GPU


def test_an_amd_card_counts_and_graphics_inside_a_processor_do_not(tmp_path):
    for card, size in (("card0", 2**29), ("card1", 2**34)):
        assert read_amd(tmp_path) == NO_GPU
        (tmp_path / card / "device").mkdir(parents=True)
        (tmp_path / card / "device" / "mem_info_vram_total").write_text(f"{size}\n", encoding="ascii")
    assert read_amd(tmp_path) == Machine("AMD")


@pytest.fixture
def index(monkeypatch) -> Iterator[dict[str, str]]:
    """PyTorch's index on loopback: the text of each build's page, by the build's name."""
    pages: dict[str, str] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = pages.get(self.path.split("/")[1])
            self.send_response(200 if page is not None else 403)
            self.end_headers()
            self.wfile.write((page or "").encode())

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setattr(torch_build, "INDEX", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(torch_build.sys, "platform", "linux")
    monkeypatch.setattr(torch_build.sysconfig, "get_platform", lambda: "linux-x86_64")
    yield pages
    server.shutdown()
    server.server_close()


def wheel(tag: str, version: str = "2.13.0") -> str:
    return f'<a href="/whl/{tag}/torch-{version}%2B{tag}-{PYTHON_TAG}-{PYTHON_TAG}-manylinux_2_28_x86_64.whl">x</a>'


@pytest.mark.parametrize(
    ("choice", "machine", "tag"),
    [
        ("auto", NO_GPU, "cpu"),
        ("auto", Machine("NVIDIA", (13, 1)), "cu130"),
        ("auto", Machine("NVIDIA", (12, 8)), "cu126"),
        ("auto", Machine("AMD"), "rocm6.4"),
        ("cuda", NO_GPU, "cu130"),
        ("cpu", Machine("NVIDIA", (12, 8)), "cpu"),
        ("cu126", NO_GPU, "cu126"),
    ],
)
def test_the_build_fits_the_machine_and_has_the_pinned_version(index, choice, machine, tag):
    index.update({each: wheel(each) for each in ("cpu", "cu130", "cu126", "rocm6.4")})
    index["cu128"] = wheel("cu128", version="2.12.0")
    assert choose_build(choice, "2.13.0", machine)[0].tag == tag


def test_an_old_driver_is_told_and_the_cpu_build_taken(index):
    index["cpu"] = wheel("cpu")
    build, remark = choose_build("auto", "2.13.0", Machine("NVIDIA", (11, 4)))
    assert build.tag == "cpu"
    assert "driver is too old" in remark


def test_without_pytorchs_index_pip_decides(index, monkeypatch):
    monkeypatch.setattr(torch_build, "INDEX", "http://127.0.0.1:9")
    build, remark = choose_build("auto", "2.13.0", NO_GPU)
    assert build.tag == ""
    assert "cannot be reached" in remark


def test_macs_get_the_build_of_pythons_index(monkeypatch):
    monkeypatch.setattr(torch_build.sys, "platform", "darwin")
    assert choose_build("auto", "2.13.0", NO_GPU)[0].tag == ""


def test_a_wrong_choice_is_named(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["install", "--torch", "nvidia"])
    assert install.main() == 2
    assert "'nvidia'" in capsys.readouterr().err


# --- the scripts around it


def test_every_shell_script_has_a_twin_for_windows():
    shell = {path.name for path in (ROOT / "scripts").iterdir() if path.suffix == "" and path.is_file()}
    shell -= {"screenshot"}  # for the README's picture; its Chromium is Linux's
    assert {path.stem for path in (ROOT / "scripts").glob("*.ps1")} == shell


@POSIX_ONLY
@pytest.mark.parametrize("name", ["environment", "atelier", "preview", "test", "update"])
def test_the_shell_scripts_can_be_run_and_are_well_formed(name):
    script = ROOT / "scripts" / name
    assert os.access(script, os.X_OK)
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0


@POSIX_ONLY
def test_a_missing_python_is_named_with_what_to_install():
    script = ROOT / "scripts" / "environment"
    environment = {**os.environ, "PYTHON": "python-that-is-not-there"}
    ended = subprocess.run([script], env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[0].endswith("but python-that-is-not-there is not there.")
    assert "python3-venv" in ended.stderr


@POSIX_ONLY
def test_a_python_that_is_too_old_is_named_with_what_to_install(tmp_path):
    old = tmp_path / "python"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2\nexit 1\n', encoding="utf-8")
    old.chmod(0o755)
    script = ROOT / "scripts" / "environment"
    ended = subprocess.run(
        [script], env={**os.environ, "PYTHON": str(old)}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert "Python 3.9.2" in ended.stderr
    assert "python3-venv" in ended.stderr
