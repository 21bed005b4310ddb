"""From a file to what the method works on: frames at the working size, one person's keypoints and mask in each."""

import json
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Int, UInt8
from PIL import Image

from edit_your_motion.compositing.carried_things import find_carried
from edit_your_motion.compositing.clean_plate import Plate, make_plate
from edit_your_motion.compositing.contact_shadow import find_shaded
from edit_your_motion.compositing.missed_limbs import find_missed
from edit_your_motion.config import AlignmentConfig, ClipConfig, PeopleConfig, VideoConfig
from edit_your_motion.errors import PersonError, counted
from edit_your_motion.people.between_frames import Passage
from edit_your_motion.people.clip_warnings import (
    Concern,
    describe_concerns,
    describe_cuts,
    describe_motion,
    describe_person,
    frames_of,
    list_numbers,
    read_concerns,
    suggest_range,
)
from edit_your_motion.people.cropping import crop_around, on_whole_pixels, touches_cut, uncut
from edit_your_motion.people.finders.backends import load_backend
from edit_your_motion.people.finders.contract import PeopleBackend, PersonDetection
from edit_your_motion.people.footage import (
    Footage,
    Source,
    find_footage,
    look_through,
    name_source,
    probe_source,
)
from edit_your_motion.people.formats.keypoints_file import load_keypoints, read_json, save_keypoints
from edit_your_motion.people.formats.precomputed import load_ready_keypoints, load_ready_masks
from edit_your_motion.people.frame_mapping import Placement, fit_keypoints, fit_masks
from edit_your_motion.people.joint_parents import raise_parents
from edit_your_motion.people.keypoints import Keypoints
from edit_your_motion.people.same_person import compare
from edit_your_motion.people.skeleton import DRAWN, draw_skeleton
from edit_your_motion.people.tracking.gaps import LONGEST_GAP, MOST_FILLED, find_fillable, longest_run
from edit_your_motion.people.tracking.left_right import keep_sides
from edit_your_motion.people.tracking.smoothing import (
    SmoothingConfig,
    fill_mask_gaps,
    jitter,
    steady_keypoints,
)
from edit_your_motion.people.tracking.tracker import MAX_GAP, Gathering, Track, follow_person
from edit_your_motion.runtime.parallel_map import parallel_map
from edit_your_motion.runtime.progress import Progress, SilentProgress
from edit_your_motion.storage.files import write_text, written_whole
from edit_your_motion.video import (
    Fit,
    Selection,
    Video,
    VideoInfo,
    fit_frames,
    parse_size,
    probe,
    read_video,
    repeat_frames,
    select,
    write_video,
)
from edit_your_motion.video.writing import CONTAINERS

logger = logging.getLogger(__name__)

FINDING = "finding.json"
"""Beside keypoints and masks that were prepared: how they were."""

PLATE = "plate"
"""The folder of a prepared clip that has its clean plate."""

DETECTION_SIDE = 512
"""People are looked for in pictures whose short side has at least so many pixels, whatever the working size."""

STILL = 8
"""How often a single picture is repeated, to be tuned on as a clip, where nothing is said of its frames."""

LEAST_SEEN = 0.25
"""Share of a reference's frames that must show the person: with fewer there is no motion to take."""


@dataclass(frozen=True, eq=False)
class PreparedClip:
    """A clip and the person in it.

    Args:
        video: frames at the working size.
        keypoints: of the person, on the frames' canvas.
        masks: the person's pixels.
        found: share of the frames in which the person was found, before gaps were filled, [0, 1].
        raw_jitter: of the keypoints as they were found, pixels; see `jitter`.
        warnings: what a user should be told.
        place: of the crop that brought the frames to their size, see `Fit`.
        plate: the place without the person; None where nobody has asked for it yet, see `without_person`.
        gathering: everybody who was found; None where nobody was looked for.
    """

    video: Video
    keypoints: Keypoints
    masks: Bool[np.ndarray, "f h w"]
    found: float = 1.0
    raw_jitter: float = 0.0
    warnings: tuple[str, ...] = ()
    place: tuple[float, float] = (0.5, 0.5)
    plate: Plate | None = None
    gathering: Gathering | None = None

    def __len__(self) -> int:
        return len(self.video.frames)

    def take(self, frames: Int[np.ndarray, " g"]) -> "PreparedClip":
        """The frames with these indices, in this order."""
        video = replace(self.video, frames=self.video.frames[frames])
        plate = None if self.plate is None else self.plate.take(frames)
        return replace(self, video=video, keypoints=self.keypoints.take(frames), masks=self.masks[frames], plate=plate)

    def with_plate(self, progress: Progress | None = None) -> "PreparedClip":
        """The same with its clean plate, made from the frames unless it is there."""
        if self.plate is not None:
            return self
        return replace(self, plate=make_plate(self.video.frames, self.masks | self.beside, progress))

    def without_person(self) -> UInt8[np.ndarray, "f h w 3"]:
        """The frames without the person, and of a film without what the person carries."""
        plate = self.with_plate().plate
        assert plate is not None
        hidden = self.masks | self.beside
        if len(self) > 1:
            hidden |= find_carried(self.video.frames, plate.places, self.masks)
        return plate.put_under(self.video.frames, hidden)

    @cached_property
    def shaded(self) -> Bool[np.ndarray, "f h w"]:
        """The ground that the feet shade, which is not the place alone."""
        return find_shaded(self.video.frames, self.masks, self.keypoints)

    @property
    def beside(self) -> Bool[np.ndarray, "f h w"]:
        """What is not the place alone and not in the masks: shaded ground, and limbs that they lack."""
        return self.shaded | find_missed(self.masks, self.keypoints)

    def repeated(self, count: int) -> "PreparedClip":
        """A clip of a single frame, `count` frames long."""
        return replace(
            self,
            video=repeat_frames(self.video, count),
            keypoints=self.keypoints.take(np.zeros(count, int)),
            masks=self.masks.repeat(count, axis=0),
            warnings=tuple(Concern(each, range(count) if frames_of(each) else ()) for each in self.warnings),
        )


MIDDLE = (0.5, 0.5)
"""The place of a crop that cuts off as much on both sides."""


@dataclass(frozen=True)
class Canvas:
    """The size to work at, pixels, and how frames of another shape are brought to it: see `Fit`.

    A crop without a place is laid around the person.
    """

    height: int
    width: int
    how: Literal["crop", "pad"] = "crop"
    warnings: tuple[str, ...] = ()
    place: tuple[float, float] | None = None

    def fit(self, zoom: float = 1) -> Fit:
        """How frames, and with them keypoints and masks, get onto the canvas, or onto one so many times as large."""
        return Fit(round(self.height * zoom), round(self.width * zoom), self.how, self.place or MIDDLE)


def choose_canvas(source: Source, config: VideoConfig, multiple: int, native_side: int) -> Canvas:
    """The working size that the configuration asks for.

    Args:
        source: the video to be edited.
        config: has the size and the fit.
        multiple: what the networks need both sides to be multiples of, pixels.
        native_side: side of the square that the base was trained on, pixels; "auto" keeps to its area.
    """
    info = probe_source(source)
    height, width = parse_size(config.size, (info.height, info.width), multiple, native_side**2)
    wanted = config.size.strip().lower()
    asked = wanted in {"auto", f"{width}x{height}", str(width) if width == height else ""}
    warning = f"the size {config.size} became {width}x{height}: sides are multiples of {multiple}"
    return Canvas(height, width, config.fit, () if asked else (warning,))


def prepare_source(
    source: Source, canvas: Canvas, clip: ClipConfig, people: PeopleConfig, progress: Progress
) -> PreparedClip:
    """The person to be edited, on the canvas.

    Args:
        source: the clip.
        canvas: the size to work at.
        clip: which of its frames; a single picture is repeated as often as it says, or `STILL` times.
        people: how to find the person.
        progress: is told how far it is.

    Raises:
        VideoError: if the file cannot be read, or has no such frames.
        PersonError: if nobody is found, or in too few frames, or ready keypoints or masks do not fit the frames.
    """
    info, side = probe_source(source), min(canvas.height, canvas.width)
    still = info.frames == 1
    footage = find_footage(source, Selection(frames=1) if still else select(clip, info), progress)
    # No larger than the source, which would be blurred on the way there and back.
    zoom = max(1.0, min(DETECTION_SIDE, info.height, info.width) / side)
    sought = _Sought(
        people.person,
        people.keypoints,
        people.masks,
        footage,
        Placement(info.height, info.width, canvas.fit(), info.pixel_aspect),
        uncut(info.height, info.width, canvas.fit(zoom)),
        aims=canvas.place is None,
        mask_label=people.mask_label,
    )
    found = _find_person(sought, people, progress, "find the person")
    _check_masks(found, source, clip.start)
    cuts = describe_cuts(found.video.frames, found.video.fps, clip.start, "source")
    person = describe_person(found.keypoints, found.masks)
    fewer = () if still else _say_fewer(clip, found.video)
    concerns = (*footage.info.warnings, *fewer, *canvas.warnings, *_say_cut(found, sought.placement), *cuts, *person)
    found = _with_concerns(found, source, concerns)
    if people.plate is not None:
        found = replace(found, plate=load_plate(people.plate, replace(canvas.fit(), place=found.place), len(found)))
    return found.repeated(clip.frames or STILL) if still else found


def prepare_reference(source: Source, clip: ClipConfig, people: PeopleConfig, progress: Progress) -> PreparedClip:
    """The person whose motion is wanted, in frames of the reference's own shape.

    Args:
        source: the reference.
        clip: which of its frames.
        people: how to find the person.
        progress: is told how far it is.

    Raises:
        VideoError: if the file cannot be read, or has no such frames.
        PersonError: if nobody is found, or in hardly any frame, or ready keypoints do not fit the frames.
    """
    info = probe_source(source)
    scale = DETECTION_SIDE / min(info.height, info.width)
    fit = Fit(2 * round(info.height * scale / 2), 2 * round(info.width * scale / 2))
    footage = find_footage(source, select(clip, info), progress)
    placement = Placement(info.height, info.width, fit, info.pixel_aspect)
    sought = _Sought(
        people.reference_person,
        people.reference_keypoints,
        None,
        footage,
        placement,
        fit,
        aims=False,
        needs_masks=False,
    )
    found = _find_person(sought, people, progress, "find the motion")
    film = found.video
    there = np.asarray(found.keypoints.visible(DRAWN).any(axis=1))
    if there.mean() < LEAST_SEEN:
        raise PersonError(
            f"expected the person in at least {LEAST_SEEN:.0%} of the {len(film.frames)} frames of {footage.name}, "
            f"got {there.sum()}; {_suggest(there, film, clip.start, 'reference')}"
        )
    concerns = (*footage.info.warnings, *_say_fewer(clip, film))
    concerns += describe_cuts(film.frames, film.fps, clip.start, "reference")
    return _with_concerns(found, source, (*concerns, *describe_person(found.keypoints, found.masks)))


def prepare_skeletons(path: Path, clip: ClipConfig, person: int | None) -> PreparedClip:
    """A reference of which there are keypoints only, or a skeleton video; its frames are the skeletons.

    Args:
        path: keypoints in whatever form `load_precomputed` reads, or a skeleton video.
        clip: which frames; its rate is that of keypoints that know none (30 unless given).
        person: which of the people in the file, from 1 from the left; None for the largest.

    Raises:
        PersonError: if there are no keypoints, or too few frames of them.
    """
    warnings: list[str] = []
    keypoints = load_ready_keypoints(path, person=person, on_warning=warnings.append)
    known = path.suffix.lower() in CONTAINERS
    rate = probe(path).fps if known else Fraction(clip.fps or 30).limit_denominator(1000)
    length = len(keypoints)
    info = VideoInfo(length, rate, keypoints.width, keypoints.height, float(length / rate), has_audio=False)
    selection = select(clip if known else clip.model_copy(update={"fps": None, "stride": clip.stride or 1}), info)
    chosen = selection.indices(length, rate)
    if not len(chosen):
        raise PersonError(
            f"expected keypoints from {clip.start:g} s on in {path}, it has {counted(length, 'frame')}: lower the start"
        )
    prepared = draw_reference(keypoints.take(chosen), selection.rate(rate))
    concerns = (*warnings, *_say_fewer(clip, prepared.video), *describe_person(prepared.keypoints))
    return _with_concerns(prepared, path, concerns)


def draw_reference(keypoints: Keypoints, fps: Fraction) -> PreparedClip:
    """A reference of keypoints alone: its frames are the skeletons, and nobody's pixels are known.

    Args:
        keypoints: of every frame.
        fps: at which they play, frames/s.
    """
    keypoints = raise_parents(keypoints)
    masks = np.zeros((len(keypoints), keypoints.height, keypoints.width), bool)
    found = float(keypoints.visible(DRAWN).any(axis=1).mean())
    return PreparedClip(Video(draw_skeleton(keypoints), fps), keypoints, masks, found)


def foresee(config: AlignmentConfig, reference: PreparedClip, source: PreparedClip) -> tuple[str, ...]:
    """What is wrong with a reference's motion for a source's person, told at once: before the long part.

    Raises:
        PersonError: if the two cannot be aligned.
    """
    concerns = describe_motion(config, reference.keypoints, source.keypoints)
    warnings = tuple(Concern(f"alignment: {concern}", frames_of(concern)) for concern in concerns)
    for warning in warnings:
        logger.warning("%s", warning)
    return warnings


def save_prepared(folder: Path, clip: PreparedClip, progress: Progress | None = None) -> None:
    """Writes keypoints, masks and frames of a clip, to look at, correct by hand, and give back."""
    save_keypoints(folder / "keypoints.json", clip.keypoints)
    save_masks(folder / "masks", clip.masks)
    told = describe_concerns(clip.warnings)
    finding = {"found": clip.found, "raw_jitter": clip.raw_jitter, **told, "place": clip.place}
    write_text(folder / FINDING, json.dumps(finding, indent=2))
    with (progress or SilentProgress()).phase("write the frames", len(clip)) as advance:
        write_video(
            folder / "frames.mp4",
            clip.video.frames,
            clip.video.fps,
            crf=8,
            quick=True,
            on_frame=lambda _: advance(),
        )
    if clip.plate is not None:
        _save_pictures(folder / PLATE, clip.plate.places)


def save_masks(folder: Path, masks: Bool[np.ndarray, "f h w"]) -> None:
    """Writes one picture a frame, the person white on black; a folder of before is replaced as a whole."""
    _save_pictures(folder, masks.astype(np.uint8) * 255)


def _save_pictures(folder: Path, pictures: UInt8[np.ndarray, "f h w *c"]) -> None:
    with written_whole(folder) as part:
        part.mkdir()

        def save(index: int) -> None:
            # The least compression: it takes a fifth of the time, and a tenth more room.
            Image.fromarray(pictures[index]).save(part / f"{index:05d}.png", compress_level=1)

        deque(parallel_map(save, range(len(pictures))), maxlen=0)


def load_plate(path: Path, fit: Fit, frames: int) -> Plate:
    """A ready clean plate: a picture for a camera that stands still, else as many pictures as the source has frames.

    Args:
        path: a picture, a video, or a folder of pictures.
        fit: how pictures of another shape are brought to the working size: as the source's frames are.
        frames: how many the source has.

    Raises:
        VideoError: if it cannot be read.
        PersonError: if it has another number of pictures.
    """
    places = read_video(path, fit=fit).frames
    if len(places) not in {1, frames}:
        raise PersonError(
            f"expected a clean plate of one picture, or of {frames} as the source has frames, got {len(places)} "
            f"in {path}"
        )
    return Plate(places)


def load_prepared(folder: Path) -> PreparedClip:
    """What `save_prepared` wrote.

    Raises:
        VideoError: if the frames are missing or damaged.
        PersonError: if keypoints or masks are missing, damaged, or of other frames.
    """
    video = read_video(folder / "frames.mp4")
    keypoints = load_keypoints(folder / "keypoints.json")
    masks = load_ready_masks(folder / "masks", label=255)
    if masks.shape[1:] != (keypoints.height, keypoints.width):
        raise PersonError(
            f"expected masks of {keypoints.width}x{keypoints.height} as the keypoints in {folder}, "
            f"got {masks.shape[2]}x{masks.shape[1]}"
        )
    frames = video.frames[:, : keypoints.height, : keypoints.width]  # the encoder pads odd sides
    if not len(frames) == len(keypoints) == len(masks):
        raise PersonError(
            f"expected as many frames as keypoints and masks in {folder}, got {len(frames)}, {len(keypoints)} and "
            f"{len(masks)}"
        )
    plate = None
    if (folder / PLATE).is_dir():
        plate = load_plate(folder / PLATE, Fit(keypoints.height, keypoints.width), len(frames))
    return PreparedClip(replace(video, frames=frames), keypoints, masks, **_load_finding(folder / FINDING), plate=plate)


def _load_finding(path: Path) -> dict[str, Any]:
    """How the person was found, as arguments of `PreparedClip`."""
    content = read_json(path)
    try:
        across, down = map(float, content.get("place", MIDDLE))
        return {
            "place": (across, down),
            "found": float(content["found"]),
            "raw_jitter": float(content["raw_jitter"]),
            "warnings": read_concerns(content),
        }
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise PersonError(f"expected found, raw_jitter and warnings in {path}, got {error!r}") from error


def _say_fewer(clip: ClipConfig, film: Video) -> tuple[str, ...]:
    """A warning where a clip has fewer frames than it was asked for."""
    there = len(film.frames)
    if clip.frames is None or there >= clip.frames:
        return ()
    return (
        f"it has {counted(there, 'frame')} at {float(film.fps):.4g} a second of the {clip.frames} that were asked for: "
        "all of them are taken",
    )


def _with_concerns(clip: PreparedClip, source: Source, concerns: tuple[str, ...]) -> PreparedClip:
    """The clip with all that a user should be told of it, which is told at once."""
    clip = replace(clip, warnings=(*clip.warnings, *concerns))
    for warning in clip.warnings:
        logger.warning("%s: %s", name_source(source), warning)
    return clip


def _check_masks(clip: PreparedClip, source: Source, start: float) -> None:
    """Passes a clip of which every frame has a mask."""
    there = np.asarray(clip.masks.any(axis=(1, 2)))
    if not there.all():
        raise PersonError(
            f"expected a mask of the person in every frame of {name_source(source)}, got empty ones in frames "
            f"{list_numbers(np.flatnonzero(~there) + 1)}; gaps of up to {LONGEST_GAP:g} s are filled in up to "
            f"{MOST_FILLED:.0%} of the frames; {_suggest(there, clip.video, start, 'source')}, or give "
            "masks (--people.masks)"
        )


def _suggest(there: Bool[np.ndarray, " f"], video: Video, start: float, which: str) -> str:
    """How to take the frames in which the person is."""
    return f"take the frames that show them: {suggest_range(longest_run(there), video.fps, start, which)}"


@dataclass(frozen=True)
class _Sought:
    """Whom to find in a clip, and what is known of them already.

    Args:
        person: which one, from the left, from 1; None for the largest.
        keypoints: ready keypoints.
        masks: ready masks.
        footage: the clip's frames.
        placement: where they are.
        large: brings them to the size at which people are looked for; nothing is cut off.
        aims: whether a crop goes where the person is.
        needs_masks: whether masks are of use.
        mask_label: which label of the masks is the person.
    """

    person: int | None
    keypoints: Path | None
    masks: Path | None
    footage: Footage
    placement: Placement
    large: Fit
    aims: bool = True
    needs_masks: bool = True
    mask_label: int | None = None


def _find_person(sought: _Sought, people: PeopleConfig, progress: Progress, phase: str) -> PreparedClip:
    """The person on the canvas: from what is ready, else found in frames of which nothing is cut off yet."""
    said: list[str] = []
    keypoints, masks = _load_ready(sought, said.append)
    found = 1.0 if keypoints is None else float(keypoints.visible(DRAWN).any(axis=1).mean())
    raw_jitter = 0.0
    warnings: tuple[str, ...] = tuple(said)
    footage, placement, track = sought.footage, sought.placement, None
    seeks = keypoints is None or (masks is None and sought.needs_masks)
    passage = footage.pass_through(people.rate if seeks else 0.0)
    whole = uncut(placement.height, placement.width, placement.fit)
    backend = open_backend(people) if seeks else None
    sight = look_through(footage, passage, whole, backend, sought.large, people, progress, phase)
    if seeks:
        followed = _follow(sight.detections, passage, sought)
        steadied = _steady(followed.keypoints, passage, people)
        track = followed.take(passage.rows)
        del followed
        found, warnings = float(track.found.mean()), (*warnings, *track.warnings)
    fit = _aim(sought, keypoints, masks, track) if sought.aims else placement.fit
    fit = on_whole_pixels(whole.height, whole.width, fit)
    place = replace(placement, fit=fit)
    found_together, kept = None, sight.frames
    del sight  # with the masks of everybody: what lies beside the canvas is held no longer than it is of use
    if keypoints is not None:
        keypoints = place.place_keypoints(keypoints, str(sought.keypoints))
    if masks is not None:
        masks = place.place_masks(masks, str(sought.masks))
    if track is not None:
        if keypoints is None:
            keypoints = fit_keypoints(steadied, fit)
            raw_jitter = jitter(fit_keypoints(track.keypoints, fit))
        if masks is None:
            masks = fit_masks(track.masks, fit)
            seen = np.asarray(masks.any(axis=(1, 2)))
            if people.fill_gaps and seen.any() and not seen.all():
                fillable = find_fillable(seen, footage.empty.fps)
                masks = fill_mask_gaps(masks) & (seen | fillable)[:, None, None]
        found_together = track.gathering
        del track
    small = replace(footage.empty, frames=fit_frames(kept, fit))
    assert keypoints is not None
    if masks is None:
        masks = np.zeros(small.frames.shape[:3], bool)
    elif sought.keypoints is not None or sought.masks is not None:
        warnings = (*warnings, *compare(keypoints, masks))
    return PreparedClip(
        small, raise_parents(keypoints), masks, found, raw_jitter, tuple(warnings), fit.place, gathering=found_together
    )


def _aim(
    sought: _Sought, keypoints: Keypoints | None, masks: Bool[np.ndarray, "f h w"] | None, track: Track | None
) -> Fit:
    """The crop around the person: as what is ready was cropped, else around what is known of them in whole pictures."""
    place = sought.placement
    if place.fit.how == "pad":
        return place.fit
    sizes: dict[Path, tuple[int, int]] = {}
    if sought.keypoints is not None and keypoints is not None:
        sizes[sought.keypoints] = (keypoints.height, keypoints.width)
    if sought.masks is not None and masks is not None:
        sizes[sought.masks] = (masks.shape[1], masks.shape[2])
    for path, (height, width) in sizes.items():
        if not place.is_of_the_picture(height, width, str(path)):
            prepared = path.parent / FINDING
            return replace(place.fit, place=_load_finding(prepared)["place"] if prepared.is_file() else MIDDLE)
    pixels = masks if masks is not None or track is None else track.masks
    return place.fit if pixels is None else crop_around(pixels, place.fit)


def _say_cut(clip: PreparedClip, place: Placement) -> tuple[str, ...]:
    """A warning where a crop cuts the person."""
    fit = replace(place.fit, place=clip.place)
    cut = np.flatnonzero(touches_cut(clip.masks, place.height, place.width, fit)) + 1
    if not len(cut) or fit.how == "pad":
        return ()
    told = (
        f"the crop to {fit.width}x{fit.height} cuts the person off in frames {list_numbers(cut)}: --video.fit pad "
        "keeps the whole picture, --video.size another shape of it"
    )
    return (Concern(told, cut - 1),)


def _load_ready(
    sought: _Sought, on_warning: Callable[[str], None]
) -> tuple[Keypoints | None, Bool[np.ndarray, "f h w"] | None]:
    """The ready keypoints and masks of the frames in question, as they are; each None where none are given."""
    keypoints, masks, place = None, None, sought.placement
    if sought.keypoints is not None:
        keypoints = load_ready_keypoints(
            sought.keypoints, height=place.height, width=place.width, person=sought.person, on_warning=on_warning
        )
        keypoints = keypoints.take(sought.footage.pick(len(keypoints), sought.keypoints))
    if sought.masks is not None:
        masks = load_ready_masks(sought.masks, sought.mask_label)
        masks = masks[sought.footage.pick(len(masks), sought.masks)]
    return keypoints, masks


def open_backend(people: PeopleConfig) -> PeopleBackend:
    """The people backend of the configuration; it may download what it lacks, as a command that needs it was given."""
    if people.backend == "rtmlib":
        return load_backend("rtmlib", detector=people.detector, pose=people.pose, fetch=True)
    if people.backend == "blazepose":
        return load_backend("blazepose", model=people.model, fetch=True, hands=people.hands, face=people.face)
    return load_backend(people.backend)


def _follow(detections: list[list[PersonDetection]], passage: Passage, sought: _Sought) -> Track:
    """The person through the frames of a passage; masks in the clip's own frames alone."""
    kept = np.isin(np.arange(len(passage)), passage.rows)
    max_gap = round(MAX_GAP * len(passage) / len(sought.footage))
    height, width = sought.large.height, sought.large.width
    try:
        return follow_person(detections, height, width, person=sought.person, max_gap=max_gap, kept=kept)
    except PersonError as error:
        raise PersonError(f"{sought.footage.empty.source or 'frames'}: {error}") from error


def _steady(keypoints: Keypoints, passage: Passage, people: PeopleConfig) -> Keypoints:
    """The keypoints of a passage as steadied, of the clip's own frames."""
    if people.keep_sides:
        keypoints = keep_sides(keypoints, times=passage.times)
    smoothing = SmoothingConfig(smooth=people.smooth, fill_gaps=people.fill_gaps)
    return steady_keypoints(keypoints, smoothing, times=passage.times).take(passage.rows)
