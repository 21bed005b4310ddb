"""Endpoints that other sites cannot use, bodies of bounded size, and answers that browsers keep to themselves."""

import json
from collections.abc import Awaitable, Callable, Mapping
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import ValidationError

from edit_your_motion.config import Section
from edit_your_motion.errors import ConfigError, EditYourMotionError, InputError
from edit_your_motion.storage.files import explain_failure, is_of_the_disk

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

LARGEST_BODY = 4096
MOST_HELD = 256 << 20
"""Bytes of bodies that are held at a time, whoever sends them."""
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; media-src 'self'; connect-src 'self'; "
        "img-src {pictures}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
}
"""Nothing from elsewhere is loaded, no other site reads or frames the page, and no link tells the token in it."""

Endpoint = Callable[["Request"], Awaitable["Response"]]
Check = Callable[["Request"], "Response | None"]
Body = TypeVar("Body", bound=Section)


def guard(
    endpoint: Endpoint, check: Check | None = None, *, pictures: str = "data:", say: Callable[[str], str] = str
) -> Endpoint:
    """An endpoint that other sites cannot use, and whose every answer has the headers that keep it to itself.

    Args:
        endpoint: what answers.
        check: a refusal of its own, or None for who may ask; asked first.
        pictures: where the page may take pictures from, in the words of a content security policy.
        say: an error's message in the page's words.
    """
    from starlette.exceptions import HTTPException
    from starlette.requests import ClientDisconnect

    headers = {name: value.format(pictures=pictures) for name, value in HEADERS.items()}

    async def guarded(request: "Request") -> "Response":
        try:
            refused = check(request) if check is not None else None
            if refused is None and not _is_ours(request):
                refused = refuse(403, "another site may not ask this")
            response = await endpoint(request) if refused is None else refused
        except HTTPException as error:
            response = refuse(error.status_code, error.detail)
        except (InputError, ConfigError) as error:
            response = refuse(409, say(str(error)))
        except EditYourMotionError as error:
            response = refuse(503, say(str(error)))
        except OSError as error:
            if not is_of_the_disk(error):
                raise
            response = refuse(503, say(str(explain_failure(error, Path(Path(str(error.filename or "it")).name)))))
        except ClientDisconnect:
            response = refuse(400, "the request ended before it was whole")  # which nobody hears
        finally:
            _room.give(request)
        if response.status_code >= 400 and "text/html" in request.headers.get("accept", ""):
            response = _show(response)
        response.headers.update(headers)
        return response

    return guarded


def _show(refusal: "Response") -> "Response":
    """A refusal for somebody who has opened an address in a browser: its words, and no JSON."""
    from starlette.responses import Response

    said = (
        json.loads(bytes(refusal.body))["error"] if refusal.media_type == "application/json" else "This is not there."
    )
    page = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Refused</title><p>{escape(said)}</p></html>'
    return Response(page, refusal.status_code, {"Cache-Control": "no-store"}, media_type="text/html")


class _Room:
    """The memory that bodies have in common, until their requests are answered."""

    def __init__(self) -> None:
        self.held = 0

    def take(self, request: "Request", count: int) -> bool:
        if self.held + count > MOST_HELD:
            return False
        self.held += count
        request.state.held = getattr(request.state, "held", 0) + count
        return True

    def give(self, request: "Request") -> None:
        self.held -= getattr(request.state, "held", 0)


_room = _Room()


def _is_ours(request: "Request") -> bool:
    """Whether a request that changes something comes from the page itself."""
    if request.method in ("GET", "HEAD"):
        return True
    origin = request.headers.get("origin")
    try:
        same = origin is None or urlsplit(origin).netloc == request.headers.get("host")
    except ValueError:  # it is no address
        same = False
    return same and request.headers.get("sec-fetch-site", "same-origin") == "same-origin"


async def read_body(request: "Request", largest: int, *kinds: str) -> bytes:
    """The body of a request, of one of these media types and at most so many bytes."""
    from starlette.exceptions import HTTPException

    # No form of another site sends these types without asking first.
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() not in kinds:
        raise HTTPException(415, f"expected {' or '.join(kinds)}")
    body = bytearray()
    async for part in request.stream():
        if len(body) + len(part) > largest:
            raise HTTPException(413, f"expected at most {largest} bytes")
        if not _room.take(request, len(part)):
            raise HTTPException(503, "too many send at once: send it again in a moment")
        body += part
    return bytes(body)


async def read_section(request: "Request", kind: type[Body], largest: int = LARGEST_BODY) -> Body:
    """The JSON body of a request, if it is small and what it should be."""
    from starlette.exceptions import HTTPException

    body = await read_body(request, largest, "application/json")
    try:
        return kind.model_validate_json(body, strict=True)
    except ValidationError:
        raise HTTPException(400, f"expected JSON with {', '.join(kind.model_fields)}") from None


def reply(content: Mapping[str, Any], status: int = 200) -> "Response":
    """An answer in JSON that nobody keeps."""
    from starlette.responses import Response

    text = json.dumps(content, ensure_ascii=False)
    return Response(text, status, {"Cache-Control": "no-store"}, media_type="application/json")


def refuse(status: int, message: str) -> "Response":
    """A refusal in words."""
    return reply({"error": message}, status)
