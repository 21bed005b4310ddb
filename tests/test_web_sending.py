"""What the web app sends comes whole, in ranges or not at all, though it is replaced meanwhile."""

import io
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest
from PIL import Image

from edit_your_motion.runtime.progress import SilentProgress
from edit_your_motion.web.preparing import write_pictures
from study_site import Reply
from web_site import WebSite

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

CONTENT = bytes(range(256)) * 10


@pytest.fixture
def film(site: WebSite, pair: tuple[str, str]) -> tuple[str, Path]:
    """The address of the film that a job makes early on, and where it is, with nothing there yet."""
    request = {"kind": "edit", "source": pair[0], "reference": pair[1], "prompt": "a box", "offer_name": "tiny"}
    job = site.library.add_job("edit", "film", request, clip=None)
    site.library.move_job(job, "cancelled")
    folder = site.library.job_folder(job) / "edit"
    folder.mkdir(parents=True, exist_ok=True)
    return f"/api/jobs/{job.id}/files/aligned.mp4", folder / "aligned.mp4"


@contextmanager
def replacing(path: Path) -> Iterator[None]:
    """Puts one file after another there, each of one letter and of a size of its own, as a job that goes on does."""
    over = Event()

    def replace() -> None:
        turn = 0
        while not over.wait(0.001):
            turn += 1
            part = path.with_suffix(".part")
            part.write_bytes(bytes([turn % 251]) * (1000 + turn * 7919 % 3_000_000))
            os.replace(part, path)

    path.write_bytes(bytes(1000))
    thread = Thread(target=replace)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("headers", [{}, {"Range": "bytes=10-"}, {"Range": "bytes=-800"}], ids=["whole", "from", "end"])
def test_a_film_that_is_replaced_while_it_is_sent_comes_whole(
    site: WebSite, film: tuple[str, Path], headers: Mapping[str, str]
) -> None:
    address, path = film
    with replacing(path):
        replies = [site.ask("GET", address, headers=headers) for _ in range(40)]
    for reply in replies:
        assert reply.status == (206 if headers else 200), reply.body[:200]
        assert len(reply.body) == int(reply.headers["content-length"])
        assert len(set(reply.body)) == 1, "parts of two films in one answer"
        if headers:
            first, last, size = reply.headers["content-range"].removeprefix("bytes ").replace("/", "-").split("-")
            assert int(last) - int(first) + 1 == len(reply.body)
            assert int(last) + 1 == int(size)


def test_a_film_that_goes_while_it_is_sent_comes_whole(site: WebSite, film: tuple[str, Path]) -> None:
    address, path = film
    content = os.urandom(24 << 20)  # more than sockets hold
    path.write_bytes(content)
    with socket.create_connection(("127.0.0.1", site.port), timeout=30) as connection:
        connection.sendall(f"GET {address} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        begun = connection.recv(1000)
        path.unlink()
        parts = [begun]
        while part := connection.recv(1 << 20):
            parts.append(part)
    assert b"".join(parts).partition(b"\r\n\r\n")[2] == content
    assert site.ask("GET", address).status == 404


@pytest.mark.parametrize(
    ("asked", "status", "begin", "end"),
    [
        ("bytes=0-0", 206, 0, 1),
        ("bytes=5-9", 206, 5, 10),
        ("bytes=2550-9999", 206, 2550, 2560),
        ("bytes=2000-", 206, 2000, 2560),
        ("bytes=-10", 206, 2550, 2560),
        ("bytes=-9999", 206, 0, 2560),
        ("bytes=2560-", 416, 0, 0),
        ("bytes=-0", 416, 0, 0),
        ("bytes=-", 200, 0, 2560),
        ("bytes=9-5", 200, 0, 2560),
        ("bytes=1-2,4-5", 200, 0, 2560),
        ("bytes=٣-٤", 200, 0, 2560),
        ("lines=1-2", 200, 0, 2560),
    ],
)
def test_ranges_are_those_of_rfc_9110(
    site: WebSite, film: tuple[str, Path], asked: str, status: int, begin: int, end: int
) -> None:
    address, path = film
    path.write_bytes(CONTENT)
    reply = site.ask("GET", address, headers={"Range": asked.encode().decode("latin-1")})
    assert (reply.status, reply.body) == (status, CONTENT[begin:end])
    told = {206: f"bytes {begin}-{end - 1}/2560", 416: "bytes */2560"}.get(status)
    assert reply.headers.get("content-range") == told


def test_a_browser_goes_on_only_with_the_same_film_and_keeps_what_has_not_changed(
    site: WebSite, film: tuple[str, Path]
) -> None:
    address, path = film
    path.write_bytes(CONTENT)

    def ask(**headers: str) -> Reply:
        return site.ask("GET", address, headers={name.replace("_", "-"): value for name, value in headers.items()})

    tag = ask().headers["etag"]
    assert ask(If_None_Match=tag).status == 304
    assert ask(Range="bytes=1-2", If_Range=tag).body == CONTENT[1:3]
    other = path.with_suffix(".part")
    other.write_bytes(CONTENT[::-1])
    os.replace(other, path)
    assert ask(If_None_Match=tag).body == CONTENT[::-1]
    assert ask(Range="bytes=1-2", If_Range=tag).body == CONTENT[::-1]


def test_heads_have_the_size_and_no_body(site: WebSite, film: tuple[str, Path]) -> None:
    address, path = film
    path.write_bytes(CONTENT)
    reply = site.ask("HEAD", address)
    assert (reply.status, reply.body, reply.headers["content-length"]) == (200, b"", "2560")


@pytest.mark.parametrize("kind", ["L", "1", "RGB", "P"])
def test_a_mask_is_laid_over_its_frame_whatever_kind_of_picture_a_tool_has_made_of_it(
    site: WebSite, pair: tuple[str, str], kind: str
) -> None:
    mask = np.tri(64, dtype=bool)
    place = site.library.folder / "clips" / pair[0] / "prepared" / "masks" / "00001.png"
    Image.fromarray(mask.astype(np.uint8) * 255).convert(kind).save(place)
    reply = site.ask("GET", f"/api/clips/{pair[0]}/overlays/1.png")
    assert (reply.status, reply.headers["content-type"]) == (200, "image/png")
    colours = np.asarray(Image.open(io.BytesIO(reply.body)).convert("RGBA"))
    np.testing.assert_array_equal(colours[..., 3] == 255, mask)
    np.testing.assert_array_equal(colours[..., 3] == 0, ~mask)
    assert (colours[mask] == 255).all()
    assert site.ask("GET", f"/api/clips/{pair[0]}/overlays/9.png").status == 409


@pytest.mark.parametrize(
    ("height", "width", "size"), [(1080, 1920, (1280, 720)), (1920, 1080, (720, 1280)), (64, 96, (96, 64))]
)
def test_pictures_of_frames_are_no_larger_than_they_are_shown(
    tmp_path: Path, height: int, width: int, size: tuple[int, int]
) -> None:
    write_pictures(tmp_path / "pictures", np.zeros((1, height, width, 3), np.uint8), SilentProgress())
    with Image.open(tmp_path / "pictures" / "00000.jpg") as picture:
        assert picture.size == size
