"""Requests to a server's application, without a server."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

WAIT = 60
"""Seconds that an answer may take."""


def ask(
    app: Callable[..., Any],
    method: str,
    path: str,
    content: bytes = b"",
    kind: str = "",
    headers: Mapping[str, str] | None = None,
    parts: int = 1,
) -> tuple[int, bytes]:
    """One request, and the status and the content of its answer.

    Args:
        app: what is asked.
        method: in capitals.
        path: with its query.
        content: of the request.
        kind: its type; JSON by default.
        headers: in small letters; beside those of every request, or in their place.
        parts: that the content comes in.
    """
    usual = {
        "host": "127.0.0.1:80",
        "content-type": kind or "application/json",
        "content-length": str(len(content)),
    }
    return asyncio.run(_ask(app, method, path, content, {**usual, **(headers or {})}, parts))


async def _ask(
    app: Callable[..., Any], method: str, path: str, content: bytes, headers: Mapping[str, str], parts: int
) -> tuple[int, bytes]:
    place, _, query = path.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": place,
        "raw_path": place.encode("latin-1", "replace"),
        "query_string": query.encode("latin-1", "replace"),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    sent: list[dict[str, Any]] = []
    size = max(1, -(-len(content) // parts))
    pieces = [content[start : start + size] for start in range(0, len(content), size)] or [b""]
    waiting = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    waiting[-1]["more_body"] = False

    async def receive() -> dict[str, Any]:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await asyncio.wait_for(app(scope, receive, send), WAIT)
    status = next(message["status"] for message in sent if message["type"] == "http.response.start")
    return int(status), b"".join(message.get("body", b"") for message in sent)
