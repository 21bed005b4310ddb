"""The study as a web page: serves the page, the listed clips and nothing else, and saves answers as they come."""

import json
import secrets
import socket
from collections.abc import Awaitable, Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import Field, ValidationError

from edit_your_motion.config import Section
from edit_your_motion.errors import ConfigError, EditYourMotionError, InputError, MissingExtraError
from edit_your_motion.study.answers import FILE, AnswerBook, Participant
from edit_your_motion.study.definition import CLIPS, MEDIA_TYPES, Study, load_study
from edit_your_motion.study.plan import Comparison, Side

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from uvicorn import Server

LARGEST_BODY = 4096
COOKIE = "study-browser"
LONGEST_COOKIE = 64
COOKIE_AGE = 180 * 24 * 3600
PAGE = {"/study.css": ("study.css", "text/css"), "/study.js": ("study.js", "text/javascript")}
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; media-src 'self'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
}
"""Nothing from elsewhere is loaded, no other site reads or frames the page, and no link tells the token in it."""

Endpoint = Callable[["Request"], Awaitable["Response"]]
Body = TypeVar("Body", bound=Section)


class Consent(Section):
    """What begins a participation."""

    agreed: bool
    code: str | None = Field(None, pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")


class Choice(Section):
    """One answer."""

    position: int = Field(ge=0, le=100_000)
    question: str = Field(max_length=80)
    choice: Side
    seconds: float = Field(ge=0, allow_inf_nan=False)


def make_app(folder: Path) -> "Starlette":
    """The web application of a study's folder.

    Args:
        folder: with ``study.yaml`` and ``clips/``; gets ``answers.sqlite``.

    Raises:
        ConfigError: ``study.yaml`` does not describe a study.
        InputError: a clip is not as it was, or the answers belong to another study.
        MissingExtraError: the extra ``study`` is not installed.
    """
    try:
        from starlette.applications import Starlette
        from starlette.routing import Route
    except ImportError:
        raise MissingExtraError("starlette", "study", "the study's web page") from None
    study = load_study(folder)
    faces = _Faces(folder, study, AnswerBook(folder / FILE, study, make=True))
    endpoints: tuple[tuple[str, str, Endpoint], ...] = (
        ("GET", "/", faces.page),
        ("GET", "/p/{token}", faces.page),
        *(("GET", path, faces.asset) for path in PAGE),
        ("GET", "/clips/{name}", faces.clip),
        ("GET", "/api/study", faces.study),
        ("POST", "/api/participants", faces.enrol),
        ("GET", "/api/participants/{token}", faces.participant),
        ("DELETE", "/api/participants/{token}", faces.withdraw),
        ("PUT", "/api/participants/{token}/answers", faces.answer),
    )
    return Starlette(routes=[Route(path, _guarded(face), methods=[method]) for method, path, face in endpoints])


def make_server(app: "Starlette") -> "Server":
    """A server of the application; it keeps no log of who asked for what, for that would tell addresses and tokens.

    Raises:
        MissingExtraError: the extra ``study`` is not installed.
    """
    try:
        from uvicorn import Config, Server
    except ImportError:
        raise MissingExtraError("uvicorn", "study", "the study's web page") from None
    return Server(
        Config(
            app, http="h11", ws="none", lifespan="off", loop="asyncio", access_log=False, log_level="warning",
            server_header=False, limit_concurrency=1000, timeout_graceful_shutdown=5,
        )
    )  # fmt: skip


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0 takes any that is free.

    Raises:
        ConfigError: the port is taken, or the address is none of this machine's.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=512)
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"expected an address to listen on, got {host} port {port} ({error}): choose another"
        ) from error


class _Faces:
    """What the addresses of the page answer."""

    def __init__(self, folder: Path, study: Study, book: AnswerBook) -> None:
        self.definition, self.book = study, book
        self.clips = {name: folder / CLIPS / name for name in study.clips}
        page = files("edit_your_motion.study").joinpath("page")
        self.texts = {name: page.joinpath(name).read_bytes() for name in ("study.html", "study.css", "study.js")}

    async def page(self, request: "Request") -> "Response":
        """The page itself, the same for everybody; its script asks for the rest."""
        from starlette.responses import Response

        return Response(self.texts["study.html"], media_type="text/html", headers={"Cache-Control": "no-store"})

    async def asset(self, request: "Request") -> "Response":
        """The page's style and script."""
        from starlette.responses import Response

        name, media_type = PAGE[request.url.path]
        return Response(self.texts[name], media_type=media_type, headers={"Cache-Control": "no-cache"})

    async def clip(self, request: "Request") -> "Response":
        """A clip of the study, whole or in ranges, as Safari wants them."""
        from starlette.responses import FileResponse

        path = self.clips.get(request.path_params["name"])
        if path is None:
            return _refuse(404, "no such clip")
        kept = {"Cache-Control": "private, max-age=86400, immutable"}  # a name belongs to one content for ever
        return FileResponse(path, media_type=MEDIA_TYPES[path.suffix], headers=kept)

    async def study(self, request: "Request") -> "Response":
        """What everybody may know before they agree."""
        study = self.definition
        comparisons = min(study.comparisons_per_person or len(study.comparisons), len(study.comparisons))
        return _reply({"title": study.title, "consent": study.consent, "comparisons": comparisons})

    async def enrol(self, request: "Request") -> "Response":
        """Takes in somebody who agrees, and tells them their private link."""
        from starlette.concurrency import run_in_threadpool

        consent = await _read(request, Consent)
        if not consent.agreed:
            return _refuse(403, "nobody takes part who has not agreed")
        browser = request.cookies.get(COOKIE) or secrets.token_urlsafe(16)
        if len(browser) > LONGEST_COOKIE:
            return _refuse(400, "expected the cookie that this study has set: delete it")
        token = await run_in_threadpool(self.book.enrol, browser, consent.code)
        response = _reply({"token": token}, status=201)
        response.set_cookie(
            COOKIE, browser, max_age=COOKIE_AGE, httponly=True, samesite="lax", secure=request.url.scheme == "https"
        )  # only now: nothing is kept of people who have not agreed
        return response

    async def participant(self, request: "Request") -> "Response":
        """What a participant sees, and what they have answered so far."""
        from starlette.concurrency import run_in_threadpool

        return _reply(await run_in_threadpool(lambda: self._describe(self._find(request))))

    async def withdraw(self, request: "Request") -> "Response":
        """Takes a whole participation back."""
        from starlette.concurrency import run_in_threadpool

        await run_in_threadpool(lambda: self.book.withdraw(self._find(request)))
        return _reply({"withdrawn": True})

    async def answer(self, request: "Request") -> "Response":
        """Saves one answer."""
        from starlette.concurrency import run_in_threadpool

        given = await _read(request, Choice)

        def record() -> None:
            self.book.record(self._find(request), given.position, given.question, given.choice, given.seconds)

        await run_in_threadpool(record)
        return _reply({"saved": True})

    def _find(self, request: "Request") -> Participant:
        from starlette.exceptions import HTTPException

        found = self.book.find(request.path_params["token"])
        if found is None:
            raise HTTPException(404, "nobody has this link: copy the whole of it")
        return found

    def _describe(self, participant: Participant) -> dict[str, Any]:
        answers: dict[int, dict[str, str]] = {}
        for answer in self.book.answers(participant):
            answers.setdefault(answer.position, {})[answer.question] = answer.choice
        comparisons = self.book.comparisons_of(participant)
        return {
            "title": self.definition.title,
            "thanks": self.definition.thanks,
            "reference_title": self.definition.reference_title,
            "questions": {question.name: question.model_dump() for question in self.definition.questions},
            "withdrawn": participant.withdrawn,
            "comparisons": [
                {**self._show(each), "answers": answers.get(position, {})} for position, each in enumerate(comparisons)
            ],
        }

    def _show(self, comparison: Comparison) -> dict[str, Any]:
        """A comparison as its participant may know it: which result is whose is not in it."""
        case = self.definition.case(comparison.case)
        ours, theirs = case.results[self.definition.ours], case.results[comparison.method]
        left, right = (ours, theirs) if comparison.ours == "left" else (theirs, ours)
        clips = {"source": case.source, "reference": case.reference, "left": left, "right": right}
        return {
            "prompt": case.prompt,
            "clips": {name: f"/clips/{clip}" for name, clip in clips.items()},
            "asked": [question.name for question in self.definition.asked_of(case)],
        }


def _guarded(endpoint: Endpoint) -> Endpoint:
    """An endpoint that other sites cannot use, and whose every answer has the headers that keep it to itself."""
    from starlette.exceptions import HTTPException

    async def guarded(request: "Request") -> "Response":
        try:
            response = await endpoint(request) if _is_ours(request) else _refuse(403, "another site may not ask this")
        except HTTPException as error:
            response = _refuse(error.status_code, error.detail)
        except InputError as error:
            response = _refuse(409, str(error))
        except EditYourMotionError as error:
            response = _refuse(503, str(error))
        response.headers.update(HEADERS)
        return response

    return guarded


def _is_ours(request: "Request") -> bool:
    """Whether a request that changes something comes from the page itself."""
    if request.method in ("GET", "HEAD"):
        return True
    origin = request.headers.get("origin")
    same = origin is None or urlsplit(origin).netloc == request.headers.get("host")
    return same and request.headers.get("sec-fetch-site", "same-origin") == "same-origin"


async def _read(request: "Request", kind: type[Body]) -> Body:
    """The body of a request, if it is small and what it should be."""
    from starlette.exceptions import HTTPException

    # No form of another site sends this type without asking first.
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, "expected JSON")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_BODY:
            raise HTTPException(413, f"expected at most {LARGEST_BODY} bytes")
    try:
        return kind.model_validate_json(bytes(body), strict=True)
    except ValidationError:
        raise HTTPException(400, f"expected JSON with {', '.join(kind.model_fields)}") from None


def _reply(content: Mapping[str, Any], status: int = 200) -> "Response":
    from starlette.responses import Response

    text = json.dumps(content, ensure_ascii=False)
    return Response(text, status, {"Cache-Control": "no-store"}, media_type="application/json")


def _refuse(status: int, message: str) -> "Response":
    return _reply({"error": message}, status)
