"""Files that come whole or in ranges: each is opened once, so that another one put in its place changes no answer."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

PART = 1 << 20
"""Bytes that are held of a file at a time: one that has no more is read at once."""
RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


def send_file(request: "Request", path: Path, media_type: str, headers: Mapping[str, str]) -> "Response | None":
    """An answer with a file, or with the range of it that is asked for; None where it is not there.

    It touches the disk: not for the loop that serves everybody.
    Several ranges, and what is none, are answered with all of it, as RFC 9110 allows.

    Args:
        request: what is answered.
        path: of the file.
        media_type: of the file.
        headers: of the answer, beside those that are about the file.
    """
    from starlette.responses import Response, StreamingResponse

    try:
        file = path.open("rb")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    known = os.fstat(file.fileno())
    tag = f'"{tag_of(known)}"'
    status, begin, end = _choose(request, tag, known.st_size)
    about = {**headers, "ETag": tag, "Accept-Ranges": "bytes"}
    if status != 304:
        about["Content-Length"] = str(end - begin)
    if status in (206, 416):
        about["Content-Range"] = f"bytes {f'{begin}-{end - 1}' if status == 206 else '*'}/{known.st_size}"
    count = 0 if request.method == "HEAD" else end - begin
    file.seek(begin)
    if count > PART:
        return StreamingResponse(_read_on(file, count), status, about, media_type)
    with file:
        return Response(file.read(count), status, about, media_type)


def tag_of(known: os.stat_result) -> str:
    """Another one for every file that is put in a place."""
    return f"{known.st_ino:x}-{known.st_mtime_ns:x}-{known.st_size:x}"


def _choose(request: "Request", tag: str, size: int) -> tuple[int, int, int]:
    """The status of an answer, and from where to where of the file it goes."""
    asked = RANGE.fullmatch(request.headers.get("range", "").strip())
    if tag in request.headers.get("if-none-match", ""):
        return 304, 0, 0
    if asked is None or asked[0] == "bytes=-" or request.headers.get("if-range", tag) != tag:
        return 200, 0, size
    first, last = asked.groups()
    begin = int(first) if first else max(0, size - int(last))
    end = min(int(last) + 1, size) if first and last else size
    if first and last and int(last) < int(first):
        return 200, 0, size
    return (206, begin, end) if begin < end else (416, 0, 0)


def _read_on(file: BinaryIO, count: int) -> Iterator[bytes]:
    with file:
        while count and (part := file.read(min(PART, count))):
            count -= len(part)
            yield part
