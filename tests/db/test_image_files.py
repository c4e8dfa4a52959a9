"""Image files on disk are complete and never outside their folder."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import signal
import struct
import sys
import threading
import zlib
from pathlib import Path

import pytest

from db.image_files import ImageStore
from generation.errors import UserError
from generation.messages import Grid
from generation.params import Tile, Upload
from tests.support.timing import TIMEOUT_S

ROOT = Path(__file__).resolve().parents[2]
OPEN_FILES = Path("/proc/self/fd")
JOB = "0123456789ab"


def make_png(content: bytes) -> bytes:
    """Return the chunks of a PNG around any content."""
    kinds = ((b"IDAT", content), (b"IEND", b""))
    chunks = (
        struct.pack(">I", len(each)) + kind + each + struct.pack(">I", zlib.crc32(kind + each)) for kind, each in kinds
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def make_webp(content: bytes) -> bytes:
    """Return the frame of a WebP around any content of an even length."""
    return b"RIFF" + struct.pack("<I", len(content) + 4) + b"WEBP" + content


def make_grid_files(letter: bytes, *, size: int = 1000) -> Grid:
    """Return a grid whose files repeat one letter, so that a mix of two files would be noticed."""
    tiles = tuple(make_png(letter * (size + index)) for index in range(4))
    return Grid(tiles, make_webp(letter * size), "webp", 1.0)


@pytest.fixture
def image_store(tmp_path):
    return ImageStore(tmp_path / "data")


def files_below(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


async def test_saved_images_are_read_back(image_store, tmp_path):
    grid = make_grid_files(b"a")
    await image_store.save(JOB, grid)
    reopened = ImageStore(tmp_path / "data")
    assert tuple([await reopened.read(Tile(JOB, index)) for index in range(4)]) == grid.tiles
    assert await reopened.read_grid(JOB, "webp") == grid.image


async def test_the_files_have_plain_names_and_nothing_else_is_left(image_store, tmp_path):
    await image_store.save(JOB, make_grid_files(b"a"))
    upload = await image_store.save_upload(b"uploaded")
    digest = hashlib.sha256(b"uploaded").hexdigest()
    assert upload == Upload(digest)
    assert files_below(tmp_path / "data") == [
        f"sheets/01/{JOB}.webp",
        *(f"tiles/01/{JOB}-{index}.png" for index in range(4)),
        f"uploads/{digest[:2]}/{digest}.png",
    ]


async def test_saving_again_replaces_the_images(image_store, tmp_path):
    await image_store.save(JOB, make_grid_files(b"a"))
    await image_store.save(JOB, make_grid_files(b"b"))
    assert await image_store.read(Tile(JOB, 2)) == make_png(b"b" * 1002)
    assert await image_store.read_grid(JOB, "webp") == make_webp(b"b" * 1000)
    assert len(files_below(tmp_path / "data")) == 5


async def test_the_same_upload_twice_is_stored_once(image_store, tmp_path):
    assert await image_store.save_upload(b"x") == await image_store.save_upload(b"x")
    assert len(files_below(tmp_path / "data")) == 1


@pytest.mark.parametrize("image", [Tile(JOB, 0), Upload("f" * 64)])
async def test_a_missing_image_is_not_found(image_store, image):
    with pytest.raises(FileNotFoundError):
        await image_store.read(image)
    with pytest.raises(FileNotFoundError):
        await image_store.read_grid(JOB, "png")


@pytest.mark.parametrize("damage", [lambda data: data[:-20], lambda data: b"\0" * len(data), lambda data: b""])
async def test_a_damaged_image_is_called_so(image_store, damage):
    await image_store.save(JOB, make_grid_files(b"a"))
    for path in (image_store.path(Tile(JOB, 0)), image_store.grid_path(JOB, "webp")):
        path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match="is damaged"):
        await image_store.read(Tile(JOB, 0))
    with pytest.raises(UserError, match="is damaged"):
        await image_store.read_grid(JOB, "webp")


async def test_concurrent_identical_uploads_are_stored_complete(image_store, tmp_path):
    data = make_png(os.urandom(300_000))
    uploads = await asyncio.gather(*(image_store.save_upload(data) for _ in range(40)))
    assert set(uploads) == {Upload(hashlib.sha256(data).hexdigest())}
    assert await image_store.read(uploads[0]) == data
    assert len(files_below(tmp_path / "data")) == 1


async def test_nothing_is_left_of_a_job_that_is_deleted_while_it_is_saved(image_store, tmp_path, monkeypatch):
    began, may_go_on, ended = threading.Event(), threading.Event(), threading.Event()
    write_all = image_store._write_all

    def write_slowly(*files) -> None:
        began.set()
        may_go_on.wait(TIMEOUT_S)
        write_all(*files)
        ended.set()

    monkeypatch.setattr(image_store, "_write_all", write_slowly)
    saving = asyncio.create_task(image_store.save(JOB, make_grid_files(b"a")))
    await asyncio.to_thread(began.wait, TIMEOUT_S)
    saving.cancel()
    await asyncio.wait({saving})
    deleting = asyncio.create_task(image_store.delete(JOB))
    await asyncio.wait({deleting}, timeout=0.05)
    may_go_on.set()
    await deleting
    await asyncio.to_thread(ended.wait, TIMEOUT_S)
    assert files_below(tmp_path / "data") == []


async def test_a_reader_sees_the_old_image_or_the_new_one_never_a_mix(image_store):
    await image_store.save(JOB, make_grid_files(b"a", size=200_000))

    async def save_often():
        for letter in (b"b", b"c", b"d", b"e"):
            await image_store.save(JOB, make_grid_files(letter, size=200_000))

    saving = asyncio.create_task(save_often())
    seen = set()
    while not saving.done():
        grid_image = await image_store.read_grid(JOB, "webp")
        assert grid_image == make_webp(grid_image[12:13] * 200_000)
        seen.add(grid_image[12:13])
    assert seen <= {b"a", b"b", b"c", b"d", b"e"}
    await saving


async def test_a_full_disk_leaves_the_old_image_and_no_partial_files(image_store, tmp_path, monkeypatch):
    await image_store.save(JOB, make_grid_files(b"a"))
    before = files_below(tmp_path / "data")

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        await image_store.save(JOB, make_grid_files(b"b"))
    with pytest.raises(OSError, match="No space"):
        await image_store.save_upload(b"new")
    assert files_below(tmp_path / "data") == before
    assert await image_store.read(Tile(JOB, 0)) == make_png(b"a" * 1000)


SAVE_FOREVER_SCRIPT = """
import asyncio, itertools, sys
from pathlib import Path
from db.image_files import ImageStore
from tests.db.test_image_files import JOB, make_grid_files

async def save(folder):
    for number in itertools.count():
        await ImageStore(folder).save(JOB, make_grid_files(bytes([number % 256]), size=300_000))
        print(number, flush=True)

asyncio.run(save(Path(sys.argv[1])))
"""


async def test_kill_9_leaves_complete_images_only(image_store, tmp_path):
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SAVE_FOREVER_SCRIPT, str(tmp_path / "data"), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    for _ in range(3):
        assert await child.stdout.readline()
    child.send_signal(signal.SIGKILL)
    await child.communicate()
    assert child.returncode == -signal.SIGKILL
    for index in range(4):
        tile = await image_store.read(Tile(JOB, index))
        assert tile == make_png(tile[16:17] * (300_000 + index))
    grid_image = await image_store.read_grid(JOB, "webp")
    assert grid_image == make_webp(grid_image[12:13] * 300_000)


@pytest.mark.skipif(not OPEN_FILES.is_dir(), reason="needs /proc to find which file was synced")
async def test_an_image_is_synced_to_disk_before_it_counts_as_saved(image_store, tmp_path, monkeypatch):
    synced: list[Path] = []
    real = os.fsync

    def record(descriptor):
        synced.append((OPEN_FILES / str(descriptor)).readlink())
        real(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    await image_store.save_upload(b"x")
    data, *folders = synced
    assert data.name.endswith(".partial")
    assert set(folders) == {data.parent, data.parent.parent, tmp_path / "data"}


UNSAFE_NAMES = ["", "..", "../../x", "/etc/passwd", "a/b", "a\\b", "a.b", "a\0b", "ab\n", "~", "ä", "*"]


@pytest.mark.parametrize("name", UNSAFE_NAMES)
async def test_a_name_that_leaves_the_folder_is_refused(image_store, tmp_path, name):
    for make_path in (
        lambda: image_store.path(Upload(name)),
        lambda: image_store.path(Tile(name + "/", 0)),
        lambda: image_store.grid_path(name, "png"),
        lambda: image_store.grid_path(JOB, name),
    ):
        with pytest.raises(ValueError, match="not a valid image name"):
            make_path()
    with pytest.raises(ValueError, match="not a valid image name"):
        await image_store.save(name, make_grid_files(b"a"))
    assert not (tmp_path / "data").exists()


async def test_every_path_is_below_the_folder_in_a_small_subfolder(image_store, tmp_path):
    paths = [image_store.path(Tile(JOB, 3)), image_store.path(Upload("f" * 64)), image_store.grid_path(JOB, "jpg")]
    for path in paths:
        assert path.resolve().is_relative_to(tmp_path / "data")
        assert len(path.parent.name) == 2
    assert len(set(paths)) == 3
