"""Requests to a server's application, without a server."""

import asyncio
from collections.abc import Callable
from typing import Any

WAIT = 60
"""Seconds that an answer may take."""


def ask(app: Callable[..., Any], method: str, path: str, content: bytes = b"", kind: str = "") -> tuple[int, bytes]:
    """One request, and the status and the content of its answer."""
    return asyncio.run(_ask(app, method, path, content, kind or "application/json"))


async def _ask(app: Callable[..., Any], method: str, path: str, content: bytes, kind: str) -> tuple[int, bytes]:
    place, _, query = path.partition("?")
    headers = [
        (b"host", b"127.0.0.1:80"),
        (b"content-type", kind.encode()),
        (b"content-length", b"%d" % len(content)),
    ]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": place,
        "raw_path": place.encode("latin-1", "replace"),
        "query_string": query.encode("latin-1", "replace"),
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    sent: list[dict[str, Any]] = []
    waiting = [{"type": "http.request", "body": content, "more_body": False}]

    async def receive() -> dict[str, Any]:
        return waiting.pop() if waiting else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await asyncio.wait_for(app(scope, receive, send), WAIT)
    status = next(message["status"] for message in sent if message["type"] == "http.response.start")
    return int(status), b"".join(message.get("body", b"") for message in sent)
