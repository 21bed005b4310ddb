"""The study as a web page: serves the page, the listed clips and nothing else, and saves answers as they come."""

import secrets
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from edit_your_motion.config import Section
from edit_your_motion.errors import MissingExtraError
from edit_your_motion.serving.endpoints import Endpoint, guard, read_section, refuse, reply
from edit_your_motion.study.answers import FILE, AnswerBook, Participant
from edit_your_motion.study.definition import CLIPS, MEDIA_TYPES, Study, load_study
from edit_your_motion.study.plan import Comparison, Side

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

COOKIE = "study-browser"
LONGEST_COOKIE = 64
COOKIE_AGE = 180 * 24 * 3600
PAGE = {"/study.css": ("study.css", "text/css"), "/study.js": ("study.js", "text/javascript")}


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
    return Starlette(routes=[Route(path, guard(face), methods=[method]) for method, path, face in endpoints])


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
            return refuse(404, "no such clip")
        kept = {"Cache-Control": "private, max-age=86400, immutable"}  # a name belongs to one content for ever
        return FileResponse(path, media_type=MEDIA_TYPES[path.suffix], headers=kept)

    async def study(self, request: "Request") -> "Response":
        """What everybody may know before they agree."""
        study = self.definition
        comparisons = min(study.comparisons_per_person or len(study.comparisons), len(study.comparisons))
        return reply({"title": study.title, "consent": study.consent, "comparisons": comparisons})

    async def enrol(self, request: "Request") -> "Response":
        """Takes in somebody who agrees, and tells them their private link."""
        from starlette.concurrency import run_in_threadpool

        consent = await read_section(request, Consent)
        if not consent.agreed:
            return refuse(403, "nobody takes part who has not agreed")
        browser = request.cookies.get(COOKIE) or secrets.token_urlsafe(16)
        if len(browser) > LONGEST_COOKIE:
            return refuse(400, "expected the cookie that this study has set: delete it")
        token = await run_in_threadpool(self.book.enrol, browser, consent.code)
        response = reply({"token": token}, status=201)
        response.set_cookie(
            COOKIE, browser, max_age=COOKIE_AGE, httponly=True, samesite="lax", secure=request.url.scheme == "https"
        )  # only now: nothing is kept of people who have not agreed
        return response

    async def participant(self, request: "Request") -> "Response":
        """What a participant sees, and what they have answered so far."""
        from starlette.concurrency import run_in_threadpool

        return reply(await run_in_threadpool(lambda: self._describe(self._find(request))))

    async def withdraw(self, request: "Request") -> "Response":
        """Takes a whole participation back."""
        from starlette.concurrency import run_in_threadpool

        await run_in_threadpool(lambda: self.book.withdraw(self._find(request)))
        return reply({"withdrawn": True})

    async def answer(self, request: "Request") -> "Response":
        """Saves one answer."""
        from starlette.concurrency import run_in_threadpool

        given = await read_section(request, Choice)

        def record() -> None:
            self.book.record(self._find(request), given.position, given.question, given.choice, given.seconds)

        await run_in_threadpool(record)
        return reply({"saved": True})

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
