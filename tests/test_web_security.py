"""The web app against who means harm: guessed tokens, names and prompts that are code, bombs, endless uploads."""

import io
import socket
import statistics
import time
import zipfile
import zlib
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image

from edit_your_motion.serving import connections, endpoints
from edit_your_motion.web import server
from edit_your_motion.web.access import load_token
from edit_your_motion.web.library import Library
from synthetic_clip import film, write_clip
from web_site import PROMPT, WebSite, add_pair, serving_web

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

HOSTILE = (
    "../../../etc/passwd", "..\\..\\boot.ini", "/etc/passwd.mp4", "a\x00b.mp4", "con.mp4", "a\nSet-Cookie: b=c.mp4",
    "-rf.mp4", "<img src=x onerror=alert(1)>.mp4", "';DROP TABLE clips;--.mp4", "%2e%2e%2fx.mp4", "\u202egpm.mp4",
    "\u00e9" * 195 + ".mp4", ".", "..", ".mp4", "a." + "b" * 150, "clip.mp4/../../x", "original.mp4.py",
)  # fmt: skip


@pytest.mark.slow
def test_a_token_is_not_guessed_in_ten_thousand_tries_and_its_owner_is_served_meanwhile(
    settings: Path, tmp_path: Path
) -> None:
    token = load_token(Library(tmp_path / "library").folder)
    assert len(token) >= 43, "256 bits"
    with serving_web(tmp_path / "library", settings, token=token) as site:
        seen: set[int] = set()

        def guess() -> None:
            connection = HTTPConnection("127.0.0.1", site.port, timeout=60)
            for number in range(5000):
                near = f"{token[: number % 43]}{number}"
                where = [("/api/library", {"Authorization": f"Bearer {near}"}), (f"/?token={near}", {})][number % 2]
                connection.request("GET", where[0], headers=where[1])
                answer = connection.getresponse()
                answer.read()
                seen.add(answer.status)
            connection.close()

        guessing = [Thread(target=guess) for _ in range(2)]
        for thread in guessing:
            thread.start()
        took = []
        while any(thread.is_alive() for thread in guessing):
            begun = time.monotonic()
            assert site.ask("GET", "/api/library", headers={"Authorization": f"Bearer {token}"}).status == 200
            took.append(time.monotonic() - begun)
            time.sleep(0.05)
        assert seen == {401}
        assert statistics.median(took) < 2


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_only_ever_shown(site: WebSite, name: str) -> None:
    new = site.ask("POST", "/api/clips", {"name": name, "role": "source", "size": 3})
    assert new.status == 200
    assert new.json["name"] == name
    folder = site.library.folder / "clips" / new.json["id"]
    assert site.send(new.json["id"], 0, b"ab").status == 200
    (original,) = folder.iterdir()
    assert original.stem == "original"
    assert original.suffix[1:].isalnum() or original.suffix == ""
    assert {each.name for each in site.library.folder.iterdir() if each.is_dir()} == {"clips", "jobs"}
    assert site.ask("DELETE", f"/api/clips/{new.json['id']}").status == 200
    assert not folder.exists()


@pytest.mark.parametrize("id", ["..", "../clips", "%2e%2e", "x' OR 1=1 --", "*", "a" * 1000, "\x00", "%00", "💃"])
def test_ids_are_looked_up_and_never_opened(site: WebSite, id: str) -> None:
    below = ("clips/{}", "clips/{}/frames/0.jpg", "clips/{}/strip.jpg", "jobs/{}/files/run.json", "jobs/{}/person.zip")
    for path in (f"/api/{each}" for each in below):
        assert site.ask("GET", path.format(quote(id, safe="%"))).status in (400, 404), path
    assert site.ask("POST", "/api/jobs", {"kind": "apply", "person": id, "reference": id}).status == 409
    asked = {"source": id, "reference": id}
    assert site.ask("POST", "/api/alignment", asked).status == 409
    assert site.ask("POST", "/api/alignment", {"person": id, "reference": id}).status == 409


def png_bomb(side: int) -> bytes:
    """A picture of side x side black pixels in some kilobytes."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")

    rows = zlib.compressobj(9)
    packed = b"".join(rows.compress(bytes(1 + side // 8)) for _ in range(side)) + rows.flush()
    header = side.to_bytes(4, "big") * 2 + bytes([1, 0, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def npz_bomb() -> bytes:
    """Keypoints that unpack to gigabytes."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        head = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            head, {"descr": "<f4", "fortran_order": False, "shape": (1 << 20, 18, 3, 16)}
        )
        with archive.open("keypoints.npy", "w", force_zip64=True) as place:
            place.write(head.getvalue())
            for _ in range(256):
                place.write(bytes(1 << 20))
    return packed.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("bomb.png", png_bomb(30_000)),
        ("bomb.npz", npz_bomb()),
        ("bomb.json", b"[" * 2_000_000),
        ("bomb.zip", b"PK\x03\x04" + bytes(100)),
        ("list.txt", b"file '/etc/passwd'\nffconcat version 1.0\n"),
        ("list.m3u8", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXTINF:1,\nhttp://127.0.0.1:9/x\n"),
        ("picture.svg", b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'),
    ],
)
def test_bombs_and_lists_of_other_files_are_refused_in_words_and_harm_nobody(
    site: WebSite, tmp_path: Path, name: str, content: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    for role in ("source", "skeletons"):
        clip = site.bring(path, role)
        shown = site.wait(f"/api/clips/{clip}", "failed", patience=240)
        assert shown["error"]
        assert "root:" not in shown["error"]
        assert str(site.library.folder) not in shown["error"]
        assert site.ask("GET", "/api/library").status == 200


def test_an_upload_without_end_is_cut_off_and_keeps_nobody_waiting(site: WebSite) -> None:
    clip = site.ask("POST", "/api/clips", {"name": "endless.mp4", "role": "source", "size": 1 << 30}).json["id"]
    with socket.create_connection(("127.0.0.1", site.port), timeout=30) as endless:
        endless.sendall(
            f"PUT /api/clips/{clip}/content?offset=0 HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\n"
            "Content-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        )
        part, sent = b"10000\r\n" + bytes(1 << 16) + b"\r\n", 0
        try:
            while sent < 64 << 20:
                endless.sendall(part)
                sent += 1 << 16
                if sent % (1 << 20) == 0:
                    endless.settimeout(0.05)
                    try:
                        if endless.recv(64, socket.MSG_PEEK):
                            break
                    except TimeoutError:
                        pass
                    endless.settimeout(30)
        except (ConnectionError, TimeoutError):
            pass  # it was cut off
        assert sent < 32 << 20, "it stopped listening"
    assert site.ask("GET", f"/api/clips/{clip}").json["received"] == 0
    slow = [socket.create_connection(("127.0.0.1", site.port), timeout=30) for _ in range(50)]
    for each in slow:  # who begins and never goes on
        each.sendall(b"PUT /api/clips/x/content?offset=0 HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n1")
    assert site.ask("GET", "/api/library").status == 200
    for each in slow:
        each.close()


def test_parts_that_come_at_once_or_twice_are_taken_once(site: WebSite, tmp_path: Path) -> None:
    content = write_clip(tmp_path, film(8)).video.read_bytes()
    clip = site.ask("POST", "/api/clips", {"name": "a.mp4", "role": "reference", "size": len(content)}).json["id"]
    middle = len(content) // 2
    answers: list[int] = []
    for offset, part in ((0, content[:middle]), (middle, content[middle:])):
        same = [Thread(target=lambda o=offset, p=part: answers.append(site.send(clip, o, p).status)) for _ in range(8)]
        for thread in same:
            thread.start()
        for thread in same:
            thread.join()
    assert sorted(answers) == [200] * 2 + [409] * 14
    assert next((site.library.folder / "clips" / clip).glob("original*")).read_bytes() == content
    assert sum(job.clip == clip for job in site.library.jobs()) == 1


def test_what_somebody_writes_is_text_in_answers_and_headers(site: WebSite) -> None:
    pair = add_pair(site.library)
    prompt = "</script><script>alert(1)</script>\r\nX-Evil: 1 {{7*7}} $(id)"
    asked = {"kind": "edit", "source": pair[0], "reference": pair[1], "prompt": PROMPT + prompt, "offer": "tiny"}
    job = site.ask("POST", "/api/jobs", {**asked, "name": prompt}).json["id"]
    reply = site.ask("GET", f"/api/jobs/{job}")
    assert reply.json["prompt"] == PROMPT + prompt
    assert "x-evil" not in reply.headers
    assert reply.headers["content-type"].startswith("application/json")
    site.ask("POST", f"/api/jobs/{job}/cancel")


@pytest.mark.parametrize(
    "body",
    [
        b"{" * 10_000, b"[]", b"null", b'{"name": 3, "role": "source", "size": 1}', b"\xff\xfe", b'{"name": "a"}',
        b'{"name": "a", "role": "admin", "size": 1}', b'{"name": "a", "role": "source", "size": 1e400}',
        b'{"name": "a", "role": "source", "size": 1, "id": "mine"}', b'{"name": "", "role": "source", "size": 1}',
        b'{"name": "\\ud800", "role": "source", "size": 1}',
    ],
)  # fmt: skip
def test_bodies_that_are_no_requests_change_nothing(site: WebSite, body: bytes) -> None:
    before = len(site.library.clips())
    assert site.ask("POST", "/api/clips", body).status in (400, 409, 413)
    assert len(site.library.clips()) == before


def test_a_mask_that_is_a_bomb_is_refused(site: WebSite) -> None:
    clip, _ = add_pair(site.library)
    begun = time.monotonic()
    reply = site.ask("PUT", f"/api/clips/{clip}/masks/0.png", png_bomb(60_000), kind="image/png")
    assert reply.status == 409
    assert time.monotonic() - begun < 20
    picture = io.BytesIO()
    Image.new("L", (64, 64)).save(picture, format="GIF")
    assert site.ask("PUT", f"/api/clips/{clip}/masks/0.png", picture.getvalue(), kind="image/png").status == 409


def knock(site: WebSite, text: str = "") -> socket.socket:
    """A connection on which so much of a request has come."""
    connection = socket.create_connection(("127.0.0.1", site.port), timeout=30)
    connection.sendall(text.encode())
    return connection


def is_open(connection: socket.socket) -> bool:
    """Whether the other side has not closed a connection on which nothing was answered."""
    connection.settimeout(0.05)
    try:
        return bool(connection.recv(1, socket.MSG_PEEK))
    except TimeoutError:
        return True
    except ConnectionError:
        return False


def hear(connection: socket.socket) -> bytes:
    """The beginning of an answer; nothing where the other side has hung up."""
    connection.settimeout(10)
    try:
        return connection.recv(12)
    except ConnectionError:
        return b""


@pytest.mark.parametrize(
    "begun",
    ["", "G", "GET /api/library HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: a",
     "POST /api/clips HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"],
)  # fmt: skip
def test_who_never_ends_a_request_is_cut_off(site: WebSite, monkeypatch: pytest.MonkeyPatch, begun: str) -> None:
    monkeypatch.setattr(connections, "LONGEST_HEAD", 1.0)
    monkeypatch.setattr(connections, "LONGEST_BODY", 1.0)
    slow = knock(site, begun)
    until = time.monotonic() + 20
    try:
        for letter in "aaaa" if begun else "":  # a letter now and then is no request either
            time.sleep(0.1)
            slow.sendall(letter.encode())
        assert is_open(slow)
        while is_open(slow):
            assert time.monotonic() < until
            time.sleep(0.1)
    finally:
        slow.close()


def test_connections_that_ask_nothing_keep_nobody_out(site: WebSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MOST_CONNECTIONS", 40)
    idle = [knock(site, "GET /") for _ in range(200)]
    try:
        for _ in range(5):
            assert site.ask("GET", "/api/library").status == 200
        assert sum(map(is_open, idle)) <= 40
    finally:
        for each in idle:
            each.close()


def test_a_thousand_who_listen_keep_nobody_out(site: WebSite) -> None:
    request = f"GET /api/events HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\n\r\n"
    streams = list[socket.socket]()
    try:
        for _ in range(1000):
            streams.append(knock(site, request))
            if len(streams) > 300:  # this process has files open for both sides
                streams.pop(0).close()
        assert site.ask("GET", "/api/library").status == 200
        answers = [hear(each) for each in streams]
        assert set(answers) <= {b"HTTP/1.1 200", b"HTTP/1.1 503", b""}
        assert answers.count(b"HTTP/1.1 200") <= server.MOST_LISTENERS
    finally:
        for each in streams:
            each.close()
    until = time.monotonic() + 30
    while site.ask("GET", "/api/clips/none").status == 404 and time.monotonic() < until:
        late = knock(site, request)
        answer = hear(late)
        late.close()
        if answer == b"HTTP/1.1 200":
            return
        time.sleep(0.2)
    raise AssertionError("those who left are still counted")


def test_bodies_of_many_at_once_take_bounded_memory(site: WebSite, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = site.ask("POST", "/api/clips", {"name": "many.mp4", "role": "source", "size": 1 << 20}).json["id"]
    monkeypatch.setattr(endpoints, "MOST_HELD", 300_000)
    head = (f"PUT /api/clips/{clip}/content?offset=0 HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\n"
            "Content-Type: application/octet-stream\r\nContent-Length: 200000\r\n\r\n")  # fmt: skip
    slow = [knock(site, head + "a" * 120_000) for _ in range(2)]
    try:
        until = time.monotonic() + 20
        while endpoints._room.held < 240_000:
            assert time.monotonic() < until
            time.sleep(0.05)
        assert site.send(clip, 0, bytes(100_000)).status == 503
        assert site.ask("GET", "/api/library").status == 200
    finally:
        for each in slow:
            each.close()
    until = time.monotonic() + 20
    while endpoints._room.held:  # nothing is kept of those who left
        assert time.monotonic() < until
        time.sleep(0.05)
    assert site.send(clip, 0, bytes(100_000)).status == 200


def test_a_short_request_for_millions_is_refused_at_once(site: WebSite) -> None:
    source, reference = add_pair(site.library)
    vary = {"sampling.steps": [1] * 10_000, "inversion.steps": [1] * 10_000}
    asked = {"kind": "edit", "source": source, "reference": reference, "prompt": PROMPT, "offer": "tiny", "vary": vary}
    begun = time.monotonic()
    refused = site.ask("POST", "/api/grids", asked)
    assert refused.status == 409, refused
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("ranges", ["bytes=0-0," * 5000 + "1-1", "bytes=-", "bytes=5-1", "bytes=9999999-", "bytes=a-b"])
def test_ranges_of_files_are_harmless(site: WebSite, ranges: str) -> None:
    clip, _ = add_pair(site.library)
    begun = time.monotonic()
    reply = site.ask("GET", f"/api/clips/{clip}/thumbnail.jpg", headers={"Range": ranges})
    assert reply.status in (200, 206, 400, 416, 431)
    assert time.monotonic() - begun < 5
    assert len(reply.body) < 1 << 20
