"""What is wrong with a clip, and with a motion for a person, in words: what a user should be told before the long part.

Each concern is one sentence that names the frames, counted from 1, and where there is a remedy the remedy. It names a
setting as the command line does, ``--group.name``; other surfaces have their own words for that.
"""

from collections.abc import Iterable, Mapping
from fractions import Fraction
from itertools import chain, repeat
from typing import Any

import numpy as np
from jaxtyping import Bool, Int, UInt8

from edit_your_motion.config import AlignmentConfig
from edit_your_motion.people.alignment import align_as
from edit_your_motion.people.keypoints import BODY_JOINTS, Keypoints
from edit_your_motion.people.plausibility import find_implausible
from edit_your_motion.people.skeleton import DRAWN
from edit_your_motion.video.cuts import find_cuts, list_scenes

PARTS = {
    "head": ("nose", "right_eye", "left_eye", "right_ear", "left_ear"),
    "arms": ("right_elbow", "left_elbow", "right_wrist", "left_wrist"),
    "hips": ("right_hip", "left_hip"),
    "legs": ("right_knee", "left_knee", "right_ankle", "left_ankle"),
}
"""Parts of a body that a picture may leave out, and their joints."""

_USUAL = 0.5
"""Share of the frames with the person in which a part has to be seen."""

_SMALLEST = 0.2
"""Height of a person that ControlNet's skeletons still describe well, as a share of the picture's."""

_SURE = 0.5
"""Confidence that the joints which are seen should have on average."""

_CUT = 0.25
"""Share of the frames in which the picture's edge may cut the person without a word."""

_MOSTLY = 0.5
"""Share of the frames, or of the joints, from which on what is wrong with them leaves nothing."""

_MARGIN = 0.02
"""How far outside the picture a joint may lie without a word, as a share of its side: steadying moves some."""


class Concern(str):
    """A sentence about a clip, and the frames that it is about.

    Args:
        text: the sentence.
        frames: counted from 0; none where it is about the clip as a whole.
    """

    frames: tuple[int, ...]

    def __new__(cls, text: str, frames: Iterable[int] | Int[np.ndarray, " n"] = ()) -> "Concern":
        """The sentence, which is a string like any other."""
        concern = super().__new__(cls, text)
        concern.frames = tuple(int(frame) for frame in frames)
        return concern


def frames_of(warning: str) -> tuple[int, ...]:
    """The frames, counted from 0, that a warning is about; none of one that says nothing of them."""
    return warning.frames if isinstance(warning, Concern) else ()


def describe_concerns(warnings: Iterable[str]) -> dict[str, Any]:
    """Warnings as files and pages have them: ``concerned`` are the frames, from 0, that each is about."""
    told = tuple(warnings)
    return {"warnings": list(told), "concerned": [frames_of(each) for each in told]}


def read_concerns(content: Mapping[str, Any]) -> tuple[Concern, ...]:
    """What `describe_concerns` wrote; files of before have warnings without frames.

    Raises:
        KeyError: there are no warnings.
        TypeError: they are no sentences with frames.
    """
    told = zip(content["warnings"], chain(content.get("concerned", ()), repeat(())), strict=False)
    return tuple(Concern(str(text), frames) for text, frames in told)


def describe_person(keypoints: Keypoints, masks: Bool[np.ndarray, "f h w"] | None = None) -> tuple[str, ...]:
    """What is wrong with the person of a clip.

    Args:
        keypoints: as they will be drawn.
        masks: the person's pixels; None, or empty ones, where they are not known.
    """
    seen = keypoints.visible(DRAWN)
    there = np.asarray(seen.any(axis=1))
    if not there.any():
        return (Concern("no joint of the person is seen in any frame", range(len(there))),)
    concerns = list[str]()
    if not there.all():
        unseen = f"no joint of the person is seen in {list_frames(~there)}: no skeleton is drawn there"
        concerns.append(Concern(unseen, np.flatnonzero(~there)))
    missing = [part for part in PARTS if part not in usual_parts(keypoints)]
    if missing:
        concerns.append(f"the person's {_joined(missing)} {_are(missing)} not seen, or in a few frames only")
    outside = _lie_outside(keypoints, _MARGIN) & seen
    if outside.any():
        names = [name.replace("_", " ") for name, out in zip(BODY_JOINTS, outside.any(axis=0), strict=True) if out]
        where = outside.any(axis=1)
        lie_outside = f"joints lie outside the picture ({_joined(names)}) in {list_frames(where)}"
        concerns.append(Concern(lie_outside, np.flatnonzero(where)))
    if (implausible := find_implausible(keypoints) & ~outside.any(axis=1)).any():
        hardly = (
            f"the joints in {list_frames(implausible)} are hardly those of a body (a limb several times too long, or "
            "both arms or legs at one point): look at the skeletons"
        )
        concerns.append(Concern(hardly, np.flatnonzero(implausible)))
    certain = np.where(seen, keypoints.body[..., 2], 0)
    if (confidence := float(certain.sum() / seen.sum())) < _SURE:
        unsure = certain.sum(axis=1) < _SURE * np.maximum(seen.sum(axis=1), 1)
        doubtful = f"the joints that are seen have a confidence of {confidence:.2f} on average: look at the skeletons"
        concerns.append(Concern(doubtful, np.flatnonzero(unsure & there)))
    if not missing and (share := _height(keypoints) / keypoints.height) < _SMALLEST:
        concerns.append(f"the person is small, {share:.0%} of the picture's height: crop the video about them")
    return (*concerns, *_describe_edges(keypoints, masks))


def describe_cuts(frames: UInt8[np.ndarray, "f h w 3"], fps: Fraction, start: float, which: str) -> tuple[str, ...]:
    """Whether a clip cuts to another scene, and how to take its longest one alone.

    Args:
        frames: the clip.
        fps: their rate, Hz.
        start: of the clip in its file, seconds.
        which: the clip's settings, 'source' or 'reference'.
    """
    cuts = find_cuts(frames, fps)
    if not len(cuts):
        return ()
    scenes = list_scenes(cuts, len(frames))
    shown = ", ".join(_range(scene) for scene in scenes[:4]) + (" and more" if len(scenes) > 4 else "")
    remedy = suggest_range(max(scenes, key=len), fps, start, which)
    told = f"the clip cuts to another scene ({len(scenes)} scenes: frames {shown}); take one alone: {remedy}"
    return (Concern(told, cuts),)


def suggest_range(frames: range, fps: Fraction, start: float, which: str) -> str:
    """The settings that take only these frames, counted from 0, of a clip that starts at `start` seconds."""
    return f"--{which}.start {round(start + frames.start / float(fps), 3):g} --{which}.frames {len(frames)}"


def describe_motion(config: AlignmentConfig, reference: Keypoints, source: Keypoints) -> tuple[str, ...]:
    """What is wrong with a reference's motion for a source's person.

    Args:
        config: how the one is aligned with the other.
        reference: whose motion.
        source: who is to perform it.

    Raises:
        PersonError: the two cannot be aligned.
    """
    aligned = align_as(config, reference, source)
    concerns = list[str]()
    has, gets = usual_parts(source), usual_parts(reference)
    if missing := [part for part in PARTS if part in has and part not in gets]:
        concerns.append(
            f"the reference does not show the {_joined(missing)} that the source does: nothing will say where "
            f"{'it goes' if missing == ['head'] else 'they go'}"
        )
    if more := [part for part in PARTS if part in gets and part not in has]:
        concerns.append(
            f"the reference shows the {_joined(more)}, which the source does not: they will be made up, or lie outside "
            "the picture"
        )
    shared = np.isin(BODY_JOINTS, [joint for part, joints in PARTS.items() if part not in more for joint in joints])
    seen = aligned.visible(DRAWN) & shared
    outside = (_lie_outside(aligned) & seen).sum(axis=1) > 0.1 * np.maximum(seen.sum(axis=1), 1)
    if outside.any():
        remedy = "" if config.place == "inside" else ", or let --alignment.place be inside"
        leaves = (
            f"the aligned skeleton leaves the picture in {list_frames(outside)}: look at alignment.png; choose other "
            f"frames{remedy}"
        )
        concerns.append(Concern(leaves, np.flatnonzero(outside)))
    return tuple(concerns)


def describe_hopeless(config: AlignmentConfig, reference: Keypoints, source: Keypoints) -> tuple[str, ...]:
    """Why nothing good can come of an edit: its skeletons are no body's, or mostly outside of the picture.

    Args:
        config: how the one is aligned with the other.
        reference: whose motion.
        source: who is to perform it.

    Raises:
        PersonError: the two cannot be aligned.
    """
    reasons = []
    for name, keypoints in (("source", source), ("reference", reference)):
        there = keypoints.visible(DRAWN).any(axis=1)
        if (find_implausible(keypoints) & there).sum() > _MOSTLY * max(there.sum(), 1):
            reasons.append(f"the joints of the {name} are hardly those of a body in most frames")
    aligned = align_as(config, reference, source)
    seen = aligned.visible(DRAWN)
    if (_lie_outside(aligned) & seen).sum() > _MOSTLY * max(seen.sum(), 1):
        reasons.append("most of the aligned skeleton lies outside the picture")
    return tuple(reasons)


def usual_parts(keypoints: Keypoints) -> list[str]:
    """The parts of the body that are seen in at least half of the frames that show anything of it."""
    seen = keypoints.visible(DRAWN)
    there = seen[seen.any(axis=1)]
    shares = {
        part: there[:, np.isin(BODY_JOINTS, joints)].any(axis=1).mean() if len(there) else 0.0
        for part, joints in PARTS.items()
    }
    return [part for part, share in shares.items() if share >= _USUAL]


def list_frames(chosen: Bool[np.ndarray, " f"], most: int = 8) -> str:
    """Frames in words, counted from 1: 'frames 2, 5 (of 16)'."""
    numbers = np.flatnonzero(chosen) + 1
    if len(numbers) == len(chosen):
        return f"all {len(chosen)} frames" if len(chosen) > 1 else "the only frame"
    return f"{'frame' if len(numbers) == 1 else 'frames'} {list_numbers(numbers, most)} (of {len(chosen)})"


def list_numbers(numbers: Int[np.ndarray, " n"], most: int = 8) -> str:
    """The first of some numbers, and how many more there are."""
    shown = ", ".join(map(str, numbers[:most]))
    return shown if len(numbers) <= most else f"{shown} and {len(numbers) - most} more"


def _describe_edges(keypoints: Keypoints, masks: Bool[np.ndarray, "f h w"] | None) -> list[Concern]:
    """At which sides the picture's edge cuts the person."""
    if masks is None or not masks.any():
        return []
    # Who stands on the lower edge is not cut by it.
    feet = np.asarray(keypoints.visible(DRAWN)[:, np.isin(BODY_JOINTS, ["right_ankle", "left_ankle"])].any(axis=1))
    touched = {
        "left": masks[:, :, 0], "right": masks[:, :, -1], "top": masks[:, 0], "bottom": masks[:, -1] & ~feet[:, None],
    }  # fmt: skip
    there = masks.any(axis=(1, 2))
    cut = {side: line.any(axis=1) for side, line in touched.items() if line[there].any(axis=1).mean() > _CUT}
    if not cut:
        return []
    frames = np.flatnonzero(np.any(list(cut.values()), axis=0))
    return [Concern(f"the picture's edge cuts the person ({_joined(list(cut))})", frames)]


def _lie_outside(keypoints: Keypoints, margin: float = 0.0) -> Bool[np.ndarray, "f 18"]:
    places, size = keypoints.body[..., :2], np.array([keypoints.width, keypoints.height])
    return np.asarray(((places < -margin * size) | (places > (1 + margin) * size)).any(axis=-1))


def _height(keypoints: Keypoints) -> float:
    """Of the skeleton from its highest to its lowest joint that is seen, the median over the frames, pixels."""
    seen, y = keypoints.visible(DRAWN), keypoints.body[..., 1]
    heights = np.where(seen, y, -np.inf).max(axis=1) - np.where(seen, y, np.inf).min(axis=1)
    return float(np.median(heights[seen.any(axis=1)]))


def _range(frames: range) -> str:
    return f"{frames.start + 1}" if len(frames) == 1 else f"{frames.start + 1} to {frames.stop}"


def _joined(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _are(parts: list[str]) -> str:
    return "is" if parts == ["head"] else "are"
