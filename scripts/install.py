"""Create or repair .venv and install Atelier's packages: `python -m scripts.install`.

It runs on a bare Python before anything is installed, so it needs nothing but the standard library.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from scripts.torch_build import CHOICES, CONFIGURED, CPU, Build, Machine, choose_build, find_machine

ROOT = Path(__file__).resolve().parents[1]
MIN_PYTHON = (3, 11)
VENV = ("-m", "venv")
HEARTBEAT_S = 10.0  # seconds of silence after which a line says that it goes on
UNPACKED_PER_DOWNLOADED = 3  # about; for the size of development tools
RETRY = "Run the same command again: what was downloaded is kept."
NO_SPACE = "The disk is full. Free some space, and run the same command again."
NO_TRUST = f"A proxy shows a certificate that Python does not trust: set REQUESTS_CA_BUNDLE to its file. {RETRY}"
NO_NETWORK = f"The package index could not be reached: check the internet connection. {RETRY}"


class InstallError(Exception):
    """The packages cannot be installed; the text says why and what to do."""


class Environment:
    """The virtual environment of a checkout, with the record of what was installed into it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / ".venv"
        self.stamp = self.folder / "installed"
        self.marker = root / ".venv.installing"  # beside the folder, which may be rebuilt
        self.python = self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    def record(self) -> dict[str, Any]:
        """Return what the last finished installation recorded; nothing if there was none or it was another format."""
        try:
            found = json.loads(self.stamp.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def is_usable(self) -> bool:
        """Return whether its Python runs and is the one it was made with: an upgrade of the system's leaves a husk."""
        code = "import sys, sysconfig; print(sys.prefix != sys.base_prefix, sysconfig.get_path('purelib'))"
        running = _run([self.python, "-c", code])
        inside, _, packages = running.stdout.strip().partition(" ")
        return running.returncode == 0 and inside == "True" and Path(packages).is_dir()

    def project(self) -> dict[str, Any]:
        """Return what pyproject.toml says of the project."""
        import tomllib  # not in the old Pythons to which `main` says that they are too old

        found: dict[str, Any] = tomllib.loads((self.root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        return found

    def extras(self) -> list[str]:
        """Return the names of what may be installed too, but for development tools, which have an option."""
        return sorted(set(self.project().get("optional-dependencies", {})) - {"dev"})

    def has_packages(self) -> bool:
        """Return whether every package that pyproject.toml asks for is there: somebody may have removed one."""
        names = [re.split(r"[\s<>=!~\[;]", each, maxsplit=1)[0] for each in self.project().get("dependencies", [])]
        code = "import sys; from importlib.metadata import version; [version(name) for name in sys.argv[1:]]"
        return _run([self.python, "-c", code, *names]).returncode == 0

    def has_pip(self) -> bool:
        """Return whether pip runs in it."""
        return _run([self.python, "-m", "pip", "--version"]).returncode == 0

    def create(self, uv: str | None) -> None:
        """Create it anew. What a link points to belongs to somebody else: only the link is removed."""
        if self.folder.is_symlink() or self.folder.is_file():
            self.folder.unlink()
        elif self.folder.exists():
            shutil.rmtree(self.folder)
        # uv's environments have no pip unless it is asked for, and the documentation installs some packages with it.
        command = [uv, "venv", "--quiet", "--seed", "--python", sys.executable] if uv else [sys.executable, *VENV]
        made = _run([*command, str(self.folder)])
        if made.returncode:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise InstallError(_explain_venv(made.stdout + made.stderr))

    def add_pip(self) -> None:
        """Install pip if it is missing. Raises InstallError."""
        if not self.has_pip() and _run([self.python, "-m", "ensurepip"]).returncode:
            self.create(None)


def install(
    environment: Environment, *, dev: bool, choice: str | None, machine: Machine, extras: Sequence[str] = ()
) -> None:
    """Install the packages unless the record says that they are there. Raises InstallError."""
    wanted = _wanted(environment, dev, choice, machine, extras)
    record = environment.record()
    usable = environment.is_usable()
    if usable and record == wanted and environment.has_packages():
        return
    with _exclusive(environment.marker) as interrupted:
        uv = shutil.which("uv")
        if not usable or interrupted:
            if environment.folder.exists():
                print("Rebuilding .venv: it is incomplete, or its Python is gone.", flush=True)
            environment.create(uv)
        # Not finished, but what was chosen is kept if it is interrupted.
        environment.stamp.write_text(json.dumps({**wanted, "files": ""}), encoding="utf-8")
        build = _announce(environment, wanted, machine)
        _install_packages(environment, uv, build, wanted)
        environment.stamp.write_text(json.dumps(wanted), encoding="utf-8")


def _wanted(
    environment: Environment, dev: bool, choice: str | None, machine: Machine, extras: Sequence[str]
) -> dict[str, Any]:
    """Return the record of the installation to make. Development tools, extras and a chosen build stay."""
    record = environment.record()
    known = environment.extras()
    if unknown := [extra for extra in extras if extra not in known]:
        raise InstallError(f"There is no extra named {', '.join(unknown)}. There are: {', '.join(known)}.")
    every = sorted({*extras, *(extra for extra in record.get("extras", []) if extra in known)})
    files = b"".join((environment.root / name).read_bytes() for name in ("pyproject.toml", "constraints.txt"))
    return {
        "files": hashlib.sha256(files).hexdigest(),
        "dev": dev or bool(record.get("dev")),
        "choice": choice or record.get("choice") or "auto",
        "gpu": machine.gpu,
        **({"extras": every} if every else {}),
    }


def _announce(environment: Environment, wanted: dict[str, Any], machine: Machine) -> Build | None:
    """Say what will be installed, and return the build of PyTorch; None keeps the installed one."""
    version = _pinned_torch(environment.root)
    present = _installed_torch(environment)
    if present.partition("+")[0] == version and wanted["choice"] == "auto" and not machine.gpu:
        print(f"Updating Atelier's packages in .venv (PyTorch {present} stays)", flush=True)
        return None
    build, remark = choose_build(wanted["choice"], version, machine)
    extra = 0.1 if wanted["dev"] else 0.0  # GB
    # What pip is configured with may be the small build, so only that much is demanded.
    _check_disk(environment.root, (build if build.tag else CPU).disk_gb + extra * UNPACKED_PER_DOWNLOADED)
    found = "" if wanted["choice"] != "auto" else f"Found {machine.gpu or 'no'} GPU. "
    print(
        f"{found}Installing Atelier into .venv: {build.title}. {remark}\n"
        f"Up to {build.download_gb + extra:.1f} GB to download and {build.disk_gb:.0f} GB on the disk; "
        f"{build.minutes} on a fast connection. ATELIER_TORCH=cpu, cuda or rocm chooses another build.",
        flush=True,
    )
    return build


def _install_packages(environment: Environment, uv: str | None, build: Build | None, wanted: dict[str, Any]) -> None:
    started = time.monotonic()
    extras = [*wanted.get("extras", []), *(["dev"] if wanted["dev"] else [])]
    packages = ["-c", "constraints.txt", "-e", f".[{','.join(extras)}]" if extras else "."]
    # uv does not read pip's configuration, which is all there is where PyTorch's index cannot be reached.
    if uv and build != CONFIGURED and _install_with_uv(uv, environment, build, packages):
        print(f"Installed in {_duration(started)}.", flush=True)
        return
    environment.add_pip()
    if build and build.tag:
        packages += [f"torch=={_pinned_torch(environment.root)}+{build.tag}", "--extra-index-url", build.index_url]
    # Python compiles what is imported; to compile all 12,000 files takes as long as everything else together.
    options = ["--disable-pip-version-check", "--progress-bar", "off", "--no-compile"]
    code, output = run_with_progress(
        [str(environment.python), "-m", "pip", "install", *options, *packages], environment.root
    )
    if code:
        raise InstallError(explain_failure(output))
    print(f"Installed in {_duration(started)}.", flush=True)


def _install_with_uv(uv: str, environment: Environment, build: Build | None, packages: Sequence[str]) -> bool:
    """Install with uv, which shows its own progress; return False where it fails, so that pip has a try."""
    backend = ["--torch-backend", build.tag] if build and build.tag else []
    command = [uv, "pip", "install", "--python", str(environment.python), *backend, *packages]
    if subprocess.run(command, cwd=environment.root, check=False).returncode == 0:
        return True
    print("uv could not install them; trying pip.", flush=True)
    return False


def run_with_progress(command: Sequence[str], folder: Path) -> tuple[int, str]:
    """Run pip, print a line per package, and one whenever it is silent for long; return its exit code and output."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    piped: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "errors": "replace"}
    with subprocess.Popen(command, cwd=folder, env=environment, **piped) as process, _heartbeat() as progress:
        output = ""
        try:
            for line in process.stdout or ():
                output += line
                progress.read(line)
        except BaseException:
            process.kill()
            raise
    return process.returncode, output


class Progress:
    """Turns pip's output into one line per package."""

    def __init__(self) -> None:
        self.doing = "resolving the versions"
        self.started = self.spoke = time.monotonic()
        self.count = 0

    def read(self, line: str) -> None:
        """Print what a line of pip's output says, if it is news."""
        if found := re.match(
            r"\s*(?:Downloading|Using cached|Processing) (\S+\.(?:whl|tar\.gz))(?: \((\d.+)\))?", line
        ):
            self.count += 1
            name, version = describe_file(found[1])
            size = f", {found[2]}" if found[2] else ""
            self._say(f"{self.count:4}  {name} {version}{size}")
            self.doing = f"fetching {name}"
        elif line.startswith("Installing collected packages:"):
            count = line.count(",") + 1
            self.doing = f"unpacking {count} packages"
            self._say(f"      {self.doing}")

    def remind(self) -> None:
        """Print what is being done, if nothing was printed for a while."""
        if time.monotonic() - self.spoke >= HEARTBEAT_S:
            self._say(f"      still {self.doing} ({_duration(self.started)} so far)")

    def _say(self, text: str) -> None:
        self.spoke = time.monotonic()
        print(text, flush=True)


@contextmanager
def _heartbeat() -> Iterator[Progress]:
    progress, ended = Progress(), threading.Event()

    def beat() -> None:
        while not ended.wait(1):
            progress.remind()

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield progress
    finally:
        ended.set()
        thread.join()


def describe_file(path: str) -> tuple[str, str]:
    """Return the name and version in the name of a wheel or a source archive."""
    stem = path.replace("%2B", "+").rpartition("/")[2].removesuffix(".tar.gz").removesuffix(".whl")
    name, _, rest = stem.partition("-")
    return name.replace("_", "-"), rest.partition("-")[0]


def explain_failure(output: str) -> str:
    """Return what went wrong in pip's output, and what to do."""
    if "No space left" in output or "not enough space" in output:
        return NO_SPACE
    if "CERTIFICATE_VERIFY_FAILED" in output:
        return NO_TRUST
    if re.search(r"name resolution|NewConnectionError|ConnectTimeout|Max retries|getaddrinfo|ProxyError", output):
        return NO_NETWORK
    errors = [line for line in output.splitlines() if line.startswith("ERROR")] or output.splitlines()[-5:]
    text = "\n".join(errors)
    if "torch" in text and "No matching distribution" in text:
        version = ".".join(map(str, sys.version_info[:2]))
        return (
            f"{text}\nPyTorch has no build for Python {version} on this system. Set PYTHON to an interpreter "
            "that it supports (3.11 to 3.13 are safe) on a 64-bit system."
        )
    return f"{text}\n{RETRY}"


def _explain_venv(output: str) -> str:
    if "ensurepip" in output or "python3-venv" in output:
        version = ".".join(map(str, sys.version_info[:2]))
        return f"Python's venv module is not installed. On Debian and Ubuntu: sudo apt install python{version}-venv"
    if "No space left" in output:
        return NO_SPACE
    return f"A virtual environment cannot be created: {output.strip().splitlines()[-1] if output.strip() else ''}"


@contextmanager
def _exclusive(marker: Path) -> Iterator[bool]:
    """Hold the marker's lock; yield whether an earlier installation was killed. Raises InstallError if one runs."""
    with marker.open("a+", encoding="utf-8") as file:
        file.seek(0)
        try:
            _lock(file)
        except OSError:
            raise InstallError("Another installation into .venv is running: wait for it to end.") from None
        interrupted = file.read() != ""
        file.write("installing\n")
        file.flush()
        try:
            yield interrupted
        except KeyboardInterrupt:
            raise  # pip was stopped in the middle: the next run rebuilds the environment
        except BaseException:
            file.truncate(0)  # pip itself leaves nothing half-made when it fails
            raise
        file.truncate(0)
    with suppress(OSError):
        marker.unlink()


def _lock(file: IO[str]) -> None:
    if os.name == "nt":
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _check_disk(root: Path, needed_gb: float) -> None:
    free = shutil.disk_usage(root).free / 1e9
    if free < needed_gb:
        raise InstallError(f"About {needed_gb:.0f} GB are needed, but only {free:.1f} GB are free on this disk.")


def _pinned_torch(root: Path) -> str:
    found = re.search(r"^torch==(\S+)", (root / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    return found[1]


def _installed_torch(environment: Environment) -> str:
    code = "from importlib.metadata import version; print(version('torch'))"
    return _run([environment.python, "-c", code]).stdout.strip()


def _run(command: Sequence[str | os.PathLike[str]]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            [str(part) for part in command], capture_output=True, text=True, errors="replace", check=False
        )
    except OSError as error:  # not there, a dangling link, or made for another processor
        return subprocess.CompletedProcess(command, 127, "", str(error))


def _duration(since: float) -> str:
    minutes, seconds = divmod(round(time.monotonic() - since), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def main() -> int:
    """Install what is missing; return 2 if the user has to do something first."""
    parser = argparse.ArgumentParser(description="Create or repair .venv and install Atelier's packages.")
    parser.add_argument("--dev", action="store_true", help="also install the tools for tests and checks")
    parser.add_argument("--extra", action="append", default=[], metavar="NAME", help="also install c2pa, film, …")
    parser.add_argument("--torch", help="auto, cpu, cuda, rocm, or a name such as cu126 (auto, or the last choice)")
    arguments = parser.parse_args()
    if sys.version_info < MIN_PYTHON:
        print(f"Atelier needs Python 3.11 or newer, but this is {sys.version.split()[0]}.", file=sys.stderr)
        return 2
    choice = arguments.torch or os.environ.get("ATELIER_TORCH") or None
    if choice and not CHOICES.fullmatch(choice):
        print(f"ATELIER_TORCH must be auto, cpu, cuda, rocm or a name such as cu126, not {choice!r}", file=sys.stderr)
        return 2
    try:
        extras = [*arguments.extra, *os.environ.get("ATELIER_EXTRAS", "").replace(",", " ").split()]
        install(Environment(ROOT), dev=arguments.dev, choice=choice, machine=find_machine(), extras=extras)
    except InstallError as error:
        print(f"scripts/install: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"scripts/install: {error.strerror}: {error.filename}. Does this folder belong to you?", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted. The next run repairs what is half-made.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
