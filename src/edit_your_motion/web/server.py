"""The web app's addresses: the page, and the API that it and others use."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from pydantic import Field

from edit_your_motion.config import AlignmentConfig, Section
from edit_your_motion.errors import InputError, MissingExtraError
from edit_your_motion.jobs.inspection import PREVIEW
from edit_your_motion.presets import PRESETS
from edit_your_motion.serving.endpoints import guard, read_body, read_section, refuse, reply
from edit_your_motion.serving.sending import send_file
from edit_your_motion.web.access import COOKIE, Access
from edit_your_motion.web.aligning import align_clips
from edit_your_motion.web.corrections import (
    ChangedMeanwhileError,
    mask_of,
    overlay_of,
    read_rows,
    write_mask,
    write_rows,
)
from edit_your_motion.web.description import Address, describe_api
from edit_your_motion.web.disk import Taken, measure
from edit_your_motion.web.job_files import (
    EDIT,
    INPUTS,
    find_person,
    read_estimate,
    read_losses,
    read_settings,
)
from edit_your_motion.web.job_requests import JobRequests, NewGrid, NewJob
from edit_your_motion.web.job_runner import JobRunner, read_log
from edit_your_motion.web.library import Clip, Job, Library, Role, State
from edit_your_motion.web.messages import say, say_all, settings_in
from edit_your_motion.web.offers import list_free, shown_settings
from edit_your_motion.web.packing import zip_folder
from edit_your_motion.web.preparing import MOST_FRAMES, PEOPLE, PICTURES, PREPARED
from edit_your_motion.web.probing import FACTS, STRIP, STRIP_PICTURES, THUMBNAIL, read_facts

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

LARGEST_PART = 4 << 20
LARGEST_JSON = 4 << 20
PATIENCE = 0.3
"""Seconds between two looks at whether there is news for a browser."""
SIZED_EVERY = 15.0
"""Seconds for which what is on the disk is taken to be as large as it was."""
MOST_LISTENERS = 200
"""Browsers and programs that are told of news at a time."""
OCTETS, PNG, ZIP = "application/octet-stream", "image/png", "application/zip"
JPEG = ("image/jpeg",)
TYPES = {".css": "text/css", ".js": "text/javascript", ".html": "text/html"}
PICTURES_FROM = "'self' data: blob:"
ASKED = ("source", "reference", "person", "truth", "prompt", "frames", "settings")
RESULTS = {
    "edited.mp4": "video/mp4", "comparison.mp4": "video/mp4", "sheet.png": "image/png", "alignment.png": "image/png",
    "aligned.mp4": "video/mp4", "overlay.mp4": "video/mp4", "run.json": "application/json",
    "config.yaml": "application/yaml", "skeletons.json": "application/json",
}  # fmt: skip
EARLY = {"aligned.mp4": "video/mp4", "overlay.mp4": "video/mp4", PREVIEW: "image/png"}
"""What is there before an edit is done."""
SENT = {**RESULTS, **EARLY}
SENT_TYPES = tuple(sorted(set(SENT.values())))


class NewClip(Section):
    """A file that is going to be brought."""

    name: str = Field(min_length=1, max_length=200)
    role: Role
    size: int


class Preparation(Section):
    """Which frames of a clip are taken, and whom of the people in them."""

    frames: int = Field(16, ge=1, le=MOST_FRAMES)
    start: float = Field(0.0, ge=0, allow_inf_nan=False)
    fps: float | None = Field(None, gt=0, le=240)
    person: int | None = Field(None, ge=1, le=100)


class Corrections(Section):
    """Rows of a keypoints file by frame, and which joints were put right in which frames."""

    frames: dict[int, dict[str, Any]] = Field(max_length=MOST_FRAMES)
    corrected: dict[str, list[int]] | None = Field(None, max_length=18)
    version: str | None = Field(None, max_length=200)


class Alignment(Section):
    """How a reference is to be brought to a source."""

    source: str | None = None
    person: str | None = None
    reference: str
    alignment: AlignmentConfig = AlignmentConfig()


class Changing(Section):
    """Another name of a clip, and what it is for."""

    name: str = Field(min_length=1, max_length=200)
    role: Role


class Renaming(Section):
    """Another name."""

    name: str = Field(min_length=1, max_length=200)


def make_app(
    library: Library,
    runner: JobRunner,
    offers: Mapping[str, Mapping[str, Any]],
    access: Access,
    people: Mapping[str, Any],
) -> "Starlette":
    """The web application of a library.

    Args:
        library: what it shows.
        runner: what does its jobs.
        offers: settings that can be chosen, by name.
        access: who may ask.
        people: settings of how people are found.

    Raises:
        MissingExtraError: the extra ``web`` is not installed.
    """
    try:
        from starlette.applications import Starlette
        from starlette.routing import Route
    except ImportError:
        raise MissingExtraError("starlette", "web", "the web app") from None
    endpoints = _Endpoints(library, runner, offers, access, people)
    addresses = endpoints.addresses()
    endpoints.described = describe_api(addresses)
    return Starlette(
        routes=[
            Route(each.path, guard(each.endpoint, access.check, pictures=PICTURES_FROM, say=say), methods=[each.method])
            for each in addresses
        ]
    )


class _Endpoints:
    """What the addresses answer."""

    def __init__(
        self,
        library: Library,
        runner: JobRunner,
        offers: Mapping[str, Mapping[str, Any]],
        access: Access,
        people: Mapping[str, Any],
    ) -> None:
        self.library, self.runner, self.offers, self.access, self.people = library, runner, offers, access, people
        self.requests = JobRequests(library, offers)
        page = files("edit_your_motion.web").joinpath("page")
        self.texts = {each.name: each.read_bytes() for each in page.iterdir() if Path(each.name).suffix in TYPES}
        self.described: dict[str, Any] = {}
        self._appending, self._foreseeing = [Lock() for _ in range(64)], asyncio.Lock()
        self._sized, self._taken, self._listeners = -SIZED_EVERY, dict[str, Taken](), 0

    def addresses(self) -> Sequence[Address]:
        """All of them."""
        clip, job = "/api/clips/{clip}", "/api/jobs/{job}"
        return (
            Address("GET", "/", self.page, "the page"),
            Address("GET", "/page/{name}", self.asset, "its parts"),
            Address("GET", "/api/openapi.json", self.openapi, "this description"),
            Address("GET", "/api/library", self.show, "all clips, jobs and offers"),
            Address(
                "GET",
                "/api/events",
                self.events,
                "server-sent events: changed, and progress of jobs",
                answers=("text/event-stream",),
            ),
            Address("POST", "/api/clips", self.bring, "announce a file", NewClip),
            Address("GET", clip, self.clip, "a clip, and how many of its bytes have come"),
            Address("PATCH", clip, self.change_clip, "rename a clip, or take it for something else", Changing),
            Address("DELETE", clip, self.remove_clip, "delete a clip"),
            Address(
                "PUT",
                f"{clip}/content",
                self.receive,
                "the next part of a file, at ?offset=",
                OCTETS,
                query=("offset",),
            ),
            Address("POST", f"{clip}/preparation", self.prepare, "choose frames and find the person", Preparation),
            Address("GET", f"{clip}/thumbnail.jpg", self.thumbnail, "a picture of a clip", answers=JPEG),
            Address(
                "GET",
                f"{clip}/strip.jpg",
                self.strip,
                f"{STRIP_PICTURES} pictures from all over a clip, in a row",
                answers=JPEG,
            ),
            Address(
                "GET", f"{clip}/people.jpg", self.people_found, "a frame that shows the people in a clip", answers=JPEG
            ),
            Address(
                "GET",
                f"{clip}/frames/{{frame:int}}.jpg",
                self.frame,
                "a frame of a prepared clip, from 0",
                answers=JPEG,
            ),
            Address("GET", f"{clip}/keypoints", self.keypoints, "the keypoints file, and what of it was corrected"),
            Address("PATCH", f"{clip}/keypoints", self.correct, "put rows of the keypoints file right", Corrections),
            Address(
                "GET",
                f"{clip}/masks/{{frame:int}}.png",
                self.mask,
                "the mask of a frame, the person white",
                answers=(PNG,),
            ),
            Address(
                "GET",
                f"{clip}/overlays/{{frame:int}}.png",
                self.overlay,
                "the same, transparent where nobody is",
                answers=(PNG,),
            ),
            Address(
                "PUT",
                f"{clip}/masks/{{frame:int}}.png",
                self.paint,
                "another mask for a frame, painted on that of ?version=",
                PNG,
                query=("version",),
            ),
            Address("POST", "/api/alignment", self.align, "a reference's skeletons on a source's person", Alignment),
            Address("POST", "/api/estimate", self.foresee, "what an edit would take: time, memory, disk", NewJob),
            Address("POST", "/api/outlook", self.foresee_formerly, "/api/estimate by its former name", NewJob),
            Address("POST", "/api/jobs", self.begin, "put an edit into the queue", NewJob),
            Address("POST", "/api/grids", self.begin_grid, "an edit for each value of one or two settings", NewGrid),
            Address("GET", job, self.job, "a job, its warnings and losses"),
            Address("PATCH", job, self.rename, "rename a job", Renaming),
            Address("DELETE", job, self.remove_job, "delete a job and what it made"),
            Address("POST", f"{job}/pause", self.pause, "pause a job"),
            Address("POST", f"{job}/resume", self.resume, "go on with a job that was paused, cancelled or failed"),
            Address(
                "POST", f"{job}/insist", self.insist, "begin a job all the same that was refused for what it promises"
            ),
            Address("POST", f"{job}/cancel", self.cancel, "cancel a job"),
            Address("GET", f"{job}/log", self.log, "the end of a job's log"),
            Address(
                "GET", f"{job}/files/{{name}}", self.result, f"what a job made: {', '.join(SENT)}", answers=SENT_TYPES
            ),
            Address(
                "GET", f"{job}/person.zip", self.person, "the tuned person, as a folder in a zip file", answers=(ZIP,)
            ),
            Address("GET", f"{job}/keypoints/{{row}}", self.skeletons, "keypoints of source, reference or edited"),
            Address(
                "GET", f"{job}/frames/{{row}}/{{frame:int}}.jpg", self.picture, "a frame of one of those", answers=JPEG
            ),
        )

    # The page

    async def page(self, request: "Request") -> "Response":
        """The page itself; whoever came by the link gets a cookie in exchange for the token in it."""
        from starlette.responses import RedirectResponse, Response

        if self.access.token is not None and "token" in request.query_params:
            response: Response = RedirectResponse("/", status_code=303)
            secure = request.url.scheme == "https"
            response.set_cookie(COOKIE, self.access.token, httponly=True, samesite="strict", secure=secure)
            return response
        return Response(self.texts["index.html"], media_type="text/html", headers={"Cache-Control": "no-store"})

    async def asset(self, request: "Request") -> "Response":
        """The page's styles and scripts."""
        from starlette.responses import Response

        name = request.path_params["name"]
        if name not in self.texts:
            return refuse(404, "no such part of the page")
        kept = {"Cache-Control": "no-cache"}
        return Response(self.texts[name], media_type=TYPES[Path(name).suffix], headers=kept)

    async def openapi(self, request: "Request") -> "Response":
        """The API described."""
        return reply(self.described)

    # The library

    async def show(self, request: "Request") -> "Response":
        """All that there is."""
        return await self._later(self._show)

    async def events(self, request: "Request") -> "Response":
        """News, as long as the browser listens."""
        from starlette.responses import StreamingResponse

        if self._listeners >= MOST_LISTENERS:
            return refuse(503, "as many listen as can be told of news: ask again later")
        self._listeners += 1
        leave = self._leave

        class Listened(StreamingResponse):
            """One that is counted from before it begins: of many who come at once none has begun yet."""

            async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
                try:
                    await super().__call__(scope, receive, send)
                finally:
                    leave()

        return Listened(self._tell(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    def _leave(self) -> None:
        self._listeners -= 1

    async def _tell(self) -> AsyncIterator[str]:
        seen, heard, quiet = -1, -1, 0.0
        while True:
            if (version := self.library.version) != seen:
                seen, quiet = version, 0.0
                yield f"event: changed\ndata: {version}\n\n"
            if (version := self.runner.version) != heard:
                heard, quiet = version, 0.0
                yield f"event: progress\ndata: {json.dumps(dict(self.runner.progress))}\n\n"
            await asyncio.sleep(PATIENCE)
            quiet += PATIENCE
            if quiet > 15:
                quiet = 0.0
                yield ": still here\n\n"

    # Clips

    async def bring(self, request: "Request") -> "Response":
        """Takes a file that is announced."""
        given = await read_section(request, NewClip)
        return await self._later(
            lambda: self._describe_clip(self.library.add_clip(given.name, given.role, given.size), None)
        )

    async def receive(self, request: "Request") -> "Response":
        """Takes the next part of a file."""
        offset = request.query_params.get("offset", "")
        if not offset.isdecimal():
            return refuse(400, "expected ?offset= with the number of bytes that have come")
        part = await read_body(request, LARGEST_PART, OCTETS)
        return await self._later(lambda: self._append(self._clip(request), int(offset), part))

    async def clip(self, request: "Request") -> "Response":
        """One clip."""

        def describe() -> Mapping[str, Any]:
            clip = self._clip(request)
            return {
                **self._describe_clip(clip, self.library.last_job(clip)),
                "disk": asdict(measure(self.library.clip_folder(clip))),
            }

        return await self._later(describe)

    async def change_clip(self, request: "Request") -> "Response":
        """Renames a clip, or takes it for something else."""
        given = await read_section(request, Changing)
        return await self._later(lambda: self.library.change_clip(self._clip(request), given.name, given.role))

    async def remove_clip(self, request: "Request") -> "Response":
        """Deletes a clip."""
        return await self._later(lambda: {"freed": self.library.remove_clip(self._clip(request))})

    async def prepare(self, request: "Request") -> "Response":
        """Has the person found in a clip."""
        given = await read_section(request, Preparation)
        return await self._later(lambda: self._prepare(self._clip(request), given))

    async def thumbnail(self, request: "Request") -> "Response":
        """A picture of a clip."""
        return await self._send(request, lambda: self._folder(request) / THUMBNAIL, "image/jpeg")

    async def strip(self, request: "Request") -> "Response":
        """Pictures from all over a clip."""
        return await self._send(request, lambda: self._folder(request) / STRIP, "image/jpeg")

    async def people_found(self, request: "Request") -> "Response":
        """A frame with the people among whom one can choose."""
        return await self._send(request, lambda: self._prepared(request) / PEOPLE, "image/jpeg")

    async def frame(self, request: "Request") -> "Response":
        """A frame of a clip."""
        return await self._send(
            request, lambda: self._prepared(request) / PICTURES / _numbered(request, "jpg"), "image/jpeg"
        )

    async def keypoints(self, request: "Request") -> "Response":
        """The keypoints of a clip."""
        return await self._later(lambda: read_rows(self._prepared(request)))

    async def correct(self, request: "Request") -> "Response":
        """Saves corrections of keypoints."""
        from starlette.exceptions import HTTPException

        body = await read_body(request, LARGEST_JSON, "application/json")
        try:
            given = Corrections.model_validate_json(body)
        except ValueError:
            raise HTTPException(400, "expected JSON with frames and corrected") from None
        return await self._change(
            lambda: write_rows(self._prepared(request), given.frames, given.corrected, given.version)
        )

    async def mask(self, request: "Request") -> "Response":
        """A mask."""
        return await self._send(
            request, lambda: mask_of(self._prepared(request), request.path_params["frame"]), "image/png"
        )

    async def overlay(self, request: "Request") -> "Response":
        """A mask to be laid over a frame."""
        from starlette.concurrency import run_in_threadpool
        from starlette.responses import Response

        frame = request.path_params["frame"]
        picture = await run_in_threadpool(lambda: overlay_of(self._prepared(request), frame))
        return Response(picture, headers={"Cache-Control": "no-store"}, media_type=PNG)

    async def paint(self, request: "Request") -> "Response":
        """Saves a painted mask."""
        picture = await read_body(request, LARGEST_PART, PNG)
        frame, version = request.path_params["frame"], request.query_params.get("version")
        return await self._change(lambda: write_mask(self._prepared(request), frame, picture, version))

    # Jobs

    async def begin(self, request: "Request") -> "Response":
        """Puts an edit into the queue."""
        given = await read_section(request, NewJob, 64_000)
        return await self._later(lambda: self._describe_job(self.requests.begin(given)))

    async def begin_grid(self, request: "Request") -> "Response":
        """Puts the edits of a grid into the queue."""
        given = await read_section(request, NewGrid, 64_000)
        return await self._later(lambda: {"jobs": [self._describe_job(job) for job in self.requests.begin_grid(given)]})

    async def foresee(self, request: "Request") -> "Response":
        """What an edit would take."""
        return await self._foresee(request, "estimate")

    async def foresee_formerly(self, request: "Request") -> "Response":
        """The same under its former name, for programs that know no other."""
        return await self._foresee(request, "outlook")

    async def align(self, request: "Request") -> "Response":
        """The skeletons of a reference on the person of a source."""
        given = await read_section(request, Alignment)
        return await self._later(lambda: self._align(given))

    async def person(self, request: "Request") -> "Response":
        """A tuned person to take along."""
        from starlette.concurrency import run_in_threadpool
        from starlette.responses import StreamingResponse

        folder = await run_in_threadpool(lambda: find_person(self.library.job_folder(self._job(request))))
        if folder is None:
            return refuse(404, "nobody is tuned yet")
        named = {"Content-Disposition": 'attachment; filename="person.zip"', "Cache-Control": "no-store"}
        return StreamingResponse(zip_folder(folder), media_type=ZIP, headers=named)

    async def job(self, request: "Request") -> "Response":
        """One job, with what its record says."""
        return await self._later(lambda: self._describe_whole_job(self._job(request)))

    async def rename(self, request: "Request") -> "Response":
        """Renames a job."""
        given = await read_section(request, Renaming)
        return await self._later(lambda: self.library.rename_job(self._job(request), given.name))

    async def remove_job(self, request: "Request") -> "Response":
        """Deletes a job."""
        return await self._later(lambda: {"freed": self.library.remove_job(self._job(request))})

    async def pause(self, request: "Request") -> "Response":
        """Pauses a job."""
        return await self._move(request, "paused")

    async def resume(self, request: "Request") -> "Response":
        """Goes on with a job."""
        return await self._move(request, "queued")

    async def insist(self, request: "Request") -> "Response":
        """Begins a refused job all the same."""

        def insist() -> Mapping[str, Any]:
            self.library.insist_on(self._job(request))
            return self._describe_job(self._job(request))

        return await self._later(insist)

    async def cancel(self, request: "Request") -> "Response":
        """Cancels a job."""
        return await self._move(request, "cancelled")

    async def log(self, request: "Request") -> "Response":
        """What a job said."""
        return await self._later(lambda: {"log": read_log(self.library.job_folder(self._job(request)))})

    async def result(self, request: "Request") -> "Response":
        """A file that a job made."""
        name = request.path_params["name"]
        if name not in SENT:
            return refuse(404, f"expected one of {', '.join(SENT)}")
        return await self._send(request, lambda: self.library.job_folder(self._job(request)) / EDIT / name, SENT[name])

    async def skeletons(self, request: "Request") -> "Response":
        """The keypoints that a job worked with, or those that it aligned."""

        def read() -> Mapping[str, Any]:
            row, folder = request.path_params["row"], self.library.job_folder(self._job(request))
            path = folder / EDIT / "skeletons.json" if row == "edited" else self._input(folder, row) / "keypoints.json"
            if (found := read_facts(path)) is None:
                raise InputError("these are not there yet")
            return found

        return await self._later(read)

    async def picture(self, request: "Request") -> "Response":
        """A frame of an edit, or of what went into it."""

        def find() -> Path:
            row, folder = request.path_params["row"], self.library.job_folder(self._job(request))
            return (folder if row == "edited" else self._input(folder, row)) / PICTURES / _numbered(request, "jpg")

        return await self._send(request, find, "image/jpeg")

    # How

    async def _later(self, work: Any) -> "Response":
        """The answer of something that touches the disk, worked out beside the loop that serves everybody."""
        from starlette.concurrency import run_in_threadpool

        return reply(say_all(await run_in_threadpool(work) or {"done": True}))

    async def _change(self, work: Callable[[], Mapping[str, Any]]) -> "Response":
        try:
            return await self._later(work)
        except ChangedMeanwhileError as error:
            return refuse(412, str(error))

    async def _send(self, request: "Request", find: Callable[[], Path], media_type: str) -> "Response":
        from starlette.concurrency import run_in_threadpool

        kept = {"Cache-Control": "no-cache"}
        found = await run_in_threadpool(lambda: send_file(request, find(), media_type, kept))
        return found or refuse(404, "this is not there")

    async def _foresee(self, request: "Request", name: str) -> "Response":
        given = await read_section(request, NewJob, 64_000)
        async with self._foreseeing:  # who waits for another one's keeps no thread from answering
            return await self._later(lambda: {name: self.runner.foresee(self.requests.think_of(given))["estimate"]})

    async def _move(self, request: "Request", state: State) -> "Response":
        def move() -> Mapping[str, Any]:
            job = self._job(request)
            self.library.move_job(job, state)
            if state != "queued":
                self.runner.interrupt(job)
            return self._describe_job(self._job(request))

        return await self._later(move)

    def _clip(self, request: "Request") -> Clip:
        from starlette.exceptions import HTTPException

        found = self.library.clip(request.path_params["clip"])
        if found is None:
            raise HTTPException(404, "there is no such clip")
        return found

    def _job(self, request: "Request") -> Job:
        from starlette.exceptions import HTTPException

        found = self.library.job(request.path_params["job"])
        if found is None:
            raise HTTPException(404, "there is no such job")
        return found

    def _folder(self, request: "Request") -> Path:
        return self.library.clip_folder(self._clip(request))

    def _prepared(self, request: "Request") -> Path:
        folder = self._folder(request) / PREPARED
        if not folder.is_dir():
            raise InputError("expected a prepared clip: have the person found first")
        return folder

    def _input(self, folder: Path, row: str) -> Path:
        from starlette.exceptions import HTTPException

        if row not in ("source", "reference"):
            raise HTTPException(404, "expected source, reference or edited")
        return folder / INPUTS / row

    def _append(self, clip: Clip, offset: int, part: bytes) -> Mapping[str, Any]:
        if not part:
            raise InputError("expected a part of the file, got no bytes")
        with self._appending[int(clip.id, 16) % len(self._appending)]:  # who sends another clip need not wait
            received = self.library.received(clip)
            if clip.complete or offset != received:
                raise InputError(f"expected the part at {received}, got one at {offset}")
            if received + len(part) > clip.size:
                raise InputError(f"expected {clip.size} bytes in all, got more")
            with self.library.original(clip).open("ab") as file:
                file.write(part)
            if received + len(part) == clip.size:
                self.library.complete_clip(clip)
        return {"received": received + len(part), "size": clip.size}

    def _prepare(self, clip: Clip, given: Preparation) -> Mapping[str, Any]:
        if not clip.complete:
            raise InputError("expected the whole file first")
        last = self.library.last_job(clip)
        if last is not None and last.state in ("queued", "running"):
            raise InputError("this clip is being prepared already")
        video = given.model_dump(exclude={"person"})
        request = {
            "video": video,
            "person": given.person,
            "people": self.people,
            **self.library.describe_original(clip),
        }
        return self._describe_clip(clip, self.library.add_job("prepare", clip.name, request, clip=clip.id))

    def _align(self, given: Alignment) -> Mapping[str, Any]:
        if given.person is None:
            source = self.requests.choose("source", given.source)
        else:
            source = self.library.job_folder(self.requests.person(given.person)) / INPUTS / "source"
        return align_clips(source, self.requests.choose("reference", given.reference), given.alignment)

    def _show(self) -> Mapping[str, Any]:
        clips, jobs = self.library.clips(), self.library.jobs()
        edits = [job for job in jobs if job.clip is None]
        taken = self._measure(clips, edits)
        last = {job.clip: job for job in jobs if job.clip is not None}

        def sized(id: str, about: Mapping[str, Any]) -> Mapping[str, Any]:
            return {**about, "disk": asdict(taken[id])}

        return {
            "clips": [sized(clip.id, self._describe_clip(clip, last.get(clip.id))) for clip in clips],
            "jobs": [sized(job.id, self._describe_job(job)) for job in edits],
            "offers": {name: _kinds_of(settings) for name, settings in self.offers.items()},
            "presets": sorted(PRESETS),
            "used": taken["all"].size,
            "quota": asdict(self.library.quota),
            "most_frames": MOST_FRAMES,
            "settings": list_free(),
        }

    def _measure(self, clips: Sequence[Clip], jobs: Sequence[Job]) -> Mapping[str, Taken]:
        """What each of them takes of the disk, and ``all`` of the library; as it was a while ago."""
        now, known = time.monotonic(), self._taken
        if now - self._sized > SIZED_EVERY:
            self._sized, known = now, {}  # others who come meanwhile have what it was before
        places = {"all": self.library.folder, **{clip.id: self.library.clip_folder(clip) for clip in clips},
                  **{job.id: self.library.job_folder(job) for job in jobs}}  # fmt: skip
        self._taken = {id: known.get(id) or measure(place) for id, place in places.items()}
        return self._taken

    def _describe_clip(self, clip: Clip, last: Job | None) -> Mapping[str, Any]:
        """What a clip is.

        Args:
            clip: which.
            last: the last of its own jobs.
        """
        folder, facts, prepared, damaged = self.library.clip_folder(clip), None, None, None
        try:
            facts, prepared = read_facts(folder / FACTS), read_facts(folder / PREPARED / FACTS)
        except InputError as error:  # which stops no other clip
            damaged = str(error)
        state = "failed" if damaged else "incomplete" if not clip.complete else "ready" if prepared else "known"
        if last is not None and last.state != "done":
            state = last.state
        return {
            **asdict(clip),
            "received": self.library.received(clip),
            "state": state,
            "error": (last.error if last else None) or damaged,
            "job": last.id if last else None,
            "facts": facts,
            "prepared": prepared,
        }

    def _describe_job(self, job: Job) -> Mapping[str, Any]:
        folder = self.library.job_folder(job)
        asked = {name: job.request.get(name) for name in ASKED}
        made: Mapping[str, str] = RESULTS if job.state == "done" else EARLY
        return {
            **{name: value for name, value in asdict(job).items() if name not in ("request", "lane", "clip")},
            **asked,
            "offer": job.request.get("offer_name"),
            "refused": "force" in settings_in(job.error),
            "progress": self.runner.progress.get(job.id),
            "tuned": find_person(folder) is not None,
            "results": [name for name in made if (folder / EDIT / name).is_file()],
        }

    def _describe_whole_job(self, job: Job) -> Mapping[str, Any]:
        folder = self.library.job_folder(job)
        record = read_facts(folder / EDIT / "run.json") or {}
        told = {name: record.get(name) for name in ("warnings", "concerned", "phases", "scores")}
        losses = record.get("losses") or read_losses(folder)
        home = folder if job.kind != "apply" else folder.parent / job.request["person"]
        settings = {**read_settings(home), **(record.get("config") or {})}
        used = {"estimate": read_estimate(folder), "settings": shown_settings(settings)}
        person = find_person(folder)
        sizes = asdict(measure(folder)) | {"person": measure(person).size if person is not None else 0}
        return {**self._describe_job(job), **told, **used, "losses": losses, "disk": sizes}


def _kinds_of(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """What of an offer a page can show: no places of this machine."""
    return {name: value for name, value in settings.items() if name in ("tuning", "inversion", "sampling")}


def _numbered(request: "Request", suffix: str) -> str:
    return f"{request.path_params['frame']:05d}.{suffix}"
