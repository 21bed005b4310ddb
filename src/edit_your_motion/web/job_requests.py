"""What is asked for becomes jobs: checked at once, with copies of the clips as they are now."""

import shutil
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from edit_your_motion.config import EditConfig, Section, TuneConfig, merge
from edit_your_motion.errors import InputError
from edit_your_motion.jobs.early_checks import check_prompt
from edit_your_motion.presets import PresetName
from edit_your_motion.web.job_files import INPUTS, copy_clip, find_person, resolve
from edit_your_motion.web.library import Clip, Job, Library, make_id
from edit_your_motion.web.offers import OFTEN, check_settings, spread_settings
from edit_your_motion.web.preparing import MOST_FRAMES, PREPARED
from edit_your_motion.web.probing import FACTS, read_facts

MOST_VARIED = 2
MOST_OF_A_GRID = 36


class NewJob(Section):
    """What is to be made: a tuned person, an edit, or another motion for a person who is tuned already."""

    kind: Literal["tune", "apply", "edit"]
    name: str = Field("", max_length=200)
    source: str | None = None
    reference: str | None = None
    person: str | None = None
    truth: str | None = None
    prompt: str = Field("", max_length=1000)
    offer: str = ""
    preset: PresetName | None = None
    frames: int | None = Field(None, ge=1, le=MOST_FRAMES)
    settings: dict[str, Any] = Field(default_factory=dict)
    force: bool = False


class NewGrid(NewJob):
    """Edits that differ in one or two settings, of one source and one reference."""

    vary: dict[str, list[Any]] = Field(min_length=1, max_length=MOST_VARIED)


class JobRequests:
    """Takes what is asked of a library.

    Args:
        library: whose clips, and where the jobs go.
        offers: settings that can be chosen, by name.
    """

    def __init__(self, library: Library, offers: Mapping[str, Mapping[str, Any]]) -> None:
        self.library, self.offers = library, offers

    def begin(self, given: NewJob) -> Job:
        """Puts a job into the queue.

        Raises:
            InputError: a clip or a person is not there, or as many jobs wait as may.
            ConfigError: a setting is unknown, has no such value, or is not a request's to choose.
        """
        id, (request, clips) = make_id(), self._read(given)
        folder = self.library.folder / "jobs" / id
        _resolve(clips, request)  # whatever is wrong with the settings comes out now
        try:
            for role, clip in clips.items():
                copy_clip(clip, folder / INPUTS / role)
            return self.library.add_ready_job(id, given.kind, _name(given), request)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _read(self, given: NewJob) -> tuple[dict[str, Any], dict[str, Path]]:
        """What a job is to do, and the prepared clips that it needs.

        A person may be one that is still to be tuned: the job waits for them.
        """
        check_settings(given.settings)
        if given.offer not in self.offers and (given.kind != "apply" or given.offer):
            raise InputError(f"expected an offer of {', '.join(self.offers)}, got '{given.offer:.80}'")
        clips, counts, base = dict[str, Path](), list[int](), None
        if given.kind != "apply":
            clips["source"] = self.choose("source", given.source)
        if given.kind != "tune":
            clips["reference"] = self.choose("reference", given.reference)
        counts = [_count(clip) for clip in clips.values()]
        if given.kind == "apply":
            person = self.person(given.person)
            base = person.request["offer"].get("model", {}).get("base") or person.request["base"]
            clips["source"] = self.library.job_folder(person) / INPUTS / "source"
        if given.truth is not None and given.kind != "tune":
            clips["truth"] = self._choose_truth(given.truth)
            counts.append(_count(clips["truth"]))
        frames = min(counts) if given.frames is None else given.frames
        if frames > min(counts):
            raise InputError(f"expected at most {min(counts)} frames, as many as the clips have, got {frames}")
        offer = self.offers.get(given.offer, {})
        request = {
            **given.model_dump(exclude={"vary"}),
            "frames": frames,
            "offer_name": given.offer,
            "base": base,
            "offer": merge(OFTEN, offer),
        }
        return request, clips

    def person(self, id: str | None) -> Job:
        """The job of a person who is tuned, or is going to be."""
        job = self.library.job(id or "")
        if job is None or not (job.kind == "tune" or find_person(self.library.job_folder(job))):
            raise InputError("expected a tuned person, got none: choose one of the library")
        return job

    def think_of(self, given: NewJob) -> dict[str, Any]:
        """The request of a job that is only thought of, with the folders of its clips."""
        request, clips = self._read(given)
        home = str(self.library.job_folder(self.person(given.person))) if given.kind == "apply" else None
        return {**request, "clips": {role: str(clip) for role, clip in clips.items()}, "home": home}

    def begin_grid(self, given: NewGrid) -> list[Job]:
        """Puts a job for each combination into the queue; those that are tuned alike share one person.

        Raises:
            InputError: as of `begin`, or there are too many.
            ConfigError: as of `begin`; nothing is queued then.
        """
        if given.kind == "tune":
            raise InputError("expected edits or motions of a tuned person, got a person only")
        count = prod(map(len, given.vary.values()))
        if count > MOST_OF_A_GRID:  # before they are spread: a short request may ask for millions
            raise InputError(f"expected at most {MOST_OF_A_GRID} edits, got {count}: give fewer values")
        grid = spread_settings(given.settings, given.vary)
        plain = NewJob(**given.model_dump(exclude={"vary", "name", "settings"}))
        wanted = [plain.model_copy(update={"name": f"{_name(given)[:100]}: {name}"[:200], "settings": settings})
                  for name, settings in grid.items()]  # fmt: skip
        configs = []
        for each in wanted:  # all of them before any: a grid is queued whole or not at all
            request, clips = self._read(each)
            configs.append(_resolve(clips, request))
        self.library.require_room(2 * len(wanted))
        people, jobs = dict[str, str](), list[Job]()
        for each, config in zip(wanted, configs, strict=True):
            part = each
            if isinstance(config, EditConfig):
                frames = {"frames": config.video.frames}
                tuning = config.for_tuning().model_dump_json()
                if tuning not in people:
                    name = f"{_name(given)[:100]}: person {len(people) + 1}"
                    own = {"kind": "tune", "name": name, "reference": None, "truth": None}
                    jobs.append(self.begin(each.model_copy(update={**frames, **own})))
                    people[tuning] = jobs[-1].id
                rest = {"kind": "apply", "person": people[tuning], "source": None, "prompt": ""}
                part = each.model_copy(update={**frames, **rest})
            jobs.append(self.begin(part))
        return jobs

    def choose(self, role: str, id: str | None) -> Path:
        """The prepared folder of a clip.

        Raises:
            InputError: there is none for that.
        """
        clip = self.library.clip(id or "")
        if clip is None or (clip.role == "source") != (role == "source"):
            raise InputError(f"expected a {role} of the library, got none: choose one")
        return self._prepared(clip, role)

    def _choose_truth(self, id: str) -> Path:
        """The prepared folder of a clip of whatever kind, by which an edit is to be scored."""
        clip = self.library.clip(id)
        if clip is None:
            raise InputError("expected a clip of the library as the truth, got none: choose one")
        return self._prepared(clip, "truth")

    def _prepared(self, clip: Clip, role: str) -> Path:
        folder = self.library.clip_folder(clip) / PREPARED
        if not folder.is_dir():
            raise InputError(f"the {role} is not prepared yet: have the person found first")
        return folder


def _resolve(clips: Mapping[str, Path], request: Mapping[str, Any]) -> Any:
    """The configuration of a request that can be begun."""
    config = resolve(clips, {**request, "device": "cpu"}).config
    if isinstance(config, TuneConfig):
        check_prompt(config)
    return config


def _name(given: NewJob) -> str:
    return given.name.strip() or given.prompt[:80] or "edit"


def _count(prepared: Path) -> int:
    try:
        return int((read_facts(prepared / FACTS) or {"frames": 0})["frames"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{FACTS} of a clip is damaged: prepare it once more") from error
