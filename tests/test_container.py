"""The container's files agree with the project: paths, settings, versions, volumes and ports."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

from bot.config import Config, env_name

ROOT = Path(__file__).parents[1]
SETTINGS = {env_name(name) for name in Config.__dataclass_fields__}
OTHERS = {
    "HF_HOME",
    "ATELIER_CONTAINER",
    "ATELIER_EXTRAS",
    "ATELIER_TORCH",
    "PIP_NO_CACHE_DIR",
    "PYTHONUNBUFFERED",
}  # of libraries and of the installer
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def instructions() -> list[tuple[str, str]]:
    """Return each instruction of the Dockerfile with its arguments, continued lines joined."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.partition(" ")[0], " ".join(line.partition(" ")[2].split())) for line in lines]


def arguments(name: str) -> list[str]:
    return [text for instruction, text in instructions() if instruction == name]


def compose(name: str = "compose.yaml") -> dict:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))["services"]["atelier"]


def environment() -> dict[str, str]:
    return dict(pair.split("=", 1) for text in arguments("ENV") for pair in text.split())


def is_copied(path: str) -> bool:
    """Return whether .dockerignore lets a path into the build; the last line that matches decides."""
    kept = [line[1:].rstrip("/") for line in ignore_lines() if line.startswith("!")]
    return path == "." or any(path == each or path.startswith(f"{each}/") for each in kept)


def ignore_lines() -> list[str]:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_what_is_copied_exists_and_is_not_ignored():
    sources = [source for text in arguments("COPY") for source in text.split()[:-1]]
    assert sources
    assert [source for source in sources if not (ROOT / source).exists() or not is_copied(source)] == []


def test_the_whole_program_and_nothing_secret_is_in_the_image():
    assert all(is_copied(package) for package in PROJECT["tool"]["setuptools"]["packages"] if package != "training")
    assert is_copied("models/storybook/model_index.json")
    assert ignore_lines()[0] == "**"
    assert not any(
        is_copied(name) for name in (".env", "data/atelier.sqlite3", "backups/a.zip", ".git/config", "tests")
    )


def test_every_package_is_there_when_the_packages_are_installed():
    """An editable installation names them all, and fails without their folders."""
    (made,) = re.findall(r"mkdir ([\w ]+) && scripts/environment", " ".join(arguments("RUN")))
    assert set(made.split()) == set(PROJECT["tool"]["setuptools"]["packages"])


def test_every_setting_is_known():
    assert set(environment()) <= SETTINGS | OTHERS
    assert set(compose()["environment"]) <= SETTINGS | OTHERS
    Config.read({name: value for name, value in environment().items() if name in SETTINGS})


def test_the_python_is_the_one_that_is_tested():
    (base,) = arguments("FROM")
    version = re.match(r"python:(\d\.\d+)-", base)[1]
    assert f">={version}" == PROJECT["project"]["requires-python"]
    assert f'python-version: "{version}"' in (ROOT / ".github" / "workflows" / "checks.yml").read_text(encoding="utf-8")


def test_the_data_and_the_models_are_on_volumes():
    (volumes,) = arguments("VOLUME")
    targets = {volume.split(":")[1] for volume in compose()["volumes"]}
    assert targets == set(re.findall(r'"([^"]+)"', volumes)) == {environment()["DATA_DIR"], environment()["HF_HOME"]}
    assert environment().items() >= dict(compose()["environment"].items()).items()


def test_it_does_not_run_as_root_and_cannot_write_to_itself():
    (user,) = arguments("USER")
    assert user == "atelier"
    assert f"install -d -o {user} -g {user} -m 0700 /data /models" in " ".join(arguments("RUN"))
    service = compose()
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]


def test_the_health_check_asks_the_port_of_the_metrics():
    (check,) = arguments("HEALTHCHECK")
    assert f"127.0.0.1:{environment()['METRICS_PORT']}/health" in check


def test_the_build_of_pytorch_is_an_argument():
    assert arguments("ARG") == ["TORCH=cpu", "EXTRAS="]
    assert environment()["ATELIER_TORCH"] == "${TORCH}"
    assert compose()["build"]["args"]["TORCH"] == "${ATELIER_TORCH:-cpu}"
    assert environment()["ATELIER_EXTRAS"] == "${EXTRAS}"
    assert compose()["build"]["args"]["EXTRAS"] == "${ATELIER_EXTRAS:-}"
    assert compose("compose.cuda.yaml")["build"]["args"]["TORCH"] == "${ATELIER_TORCH:-cuda}"
