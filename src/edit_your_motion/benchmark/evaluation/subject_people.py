"""The people in a clip under test and beside it, for the metrics of poses and backgrounds."""

from functools import cached_property

from edit_your_motion.benchmark.datasets.scores import nobody
from edit_your_motion.benchmark.evaluation.people_in_streams import follow_in_stream
from edit_your_motion.benchmark.evaluation.subjects import Subject, stream
from edit_your_motion.config import AlignmentConfig
from edit_your_motion.datasets.clip import Clip
from edit_your_motion.metrics import Frames, PersonMasks, PersonPoses
from edit_your_motion.metrics.frames import describe_frames
from edit_your_motion.people.alignment import align_as
from edit_your_motion.people.finders.contract import PeopleBackend
from edit_your_motion.people.formats.precomputed import load_ready_keypoints
from edit_your_motion.people.frame_mapping import fit_keypoints, fit_masks
from edit_your_motion.people.keypoints import Keypoints
from edit_your_motion.people.looping import loop_frames
from edit_your_motion.people.tracking.tracker import Track
from edit_your_motion.runtime.progress import Progress
from edit_your_motion.video import Fit


class SubjectPeople:
    """The people in a clip under test and beside it, looked for when they are asked for.

    Args:
        subject: the clips.
        output: frames under test.
        source: the source's frames, as many and as large; None where there is none.
        size: frames, height and width of `output`.
        backend: looks for people; a text says why it is not there.
        alignment: how the reference's skeletons are aligned with the source's person.
        progress: is told how far it is.
    """

    def __init__(
        self,
        subject: Subject,
        output: Frames,
        source: Frames | None,
        size: tuple[int, int, int],
        backend: PeopleBackend | str,
        alignment: AlignmentConfig,
        progress: Progress,
    ) -> None:
        self.subject, self.output, self.source, self.size = subject, output, source, size
        self.backend, self.alignment, self.progress = backend, alignment, progress
        self.why = ""

    @cached_property
    def in_output(self) -> Track | None:
        """The person under test."""
        return self._follow(self.output, self.size[0], "output")

    @cached_property
    def in_source(self) -> Track | None:
        """The person who was edited."""
        return None if self.source is None else self._follow(self.source, self.size[0], "source")

    def find_masks(self) -> PersonMasks | None:
        """The person's pixels in the output and in the source; None, and a reason, if somebody is missing."""
        if self.in_output is None:
            return None
        if self.source is None:
            return PersonMasks(self.in_output.masks, self.in_output.masks)
        ready = None if self.subject.source is None else self.subject.source.read_masks()
        if ready is not None:
            fitted = fit_masks(ready, Fit(*self.size[1:]))
            return PersonMasks(self.in_output.masks, fitted[loop_frames(len(fitted), self.size[0])])
        return None if self.in_source is None else PersonMasks(self.in_output.masks, self.in_source.masks)

    def find_poses(self) -> PersonPoses | None:
        """The joints found in the output and those that it was to show; None, and a reason, if these are not known."""
        given = self._find_given()
        if given is None or isinstance(self.backend, str):
            self.why = self.why or str(self.backend)
            return None
        found = nobody(*self.size) if self.in_output is None else self.in_output.keypoints
        return PersonPoses(found, given)

    def _find_given(self) -> Keypoints | None:
        """The skeletons that the output was to show, on its canvas."""
        reference, truth = self.subject.reference, self.subject.truth
        if self.subject.skeletons is not None:
            moving: Keypoints | None = load_ready_keypoints(self.subject.skeletons)
        elif reference is not None and reference != truth:
            moving = self._read_or_follow(reference, "reference")
        elif truth is not None:
            keypoints = self._read_or_follow(truth, "truth")
            return None if keypoints is None else fit_keypoints(keypoints, Fit(*self.size[1:]))
        else:
            self.why = self.why or "no skeletons are known: give a reference"
            return None
        if moving is None:
            return None
        standing = self._find_standing()
        if standing is None:
            return fit_keypoints(moving, Fit(*self.size[1:]))
        return align_as(self.alignment, moving, standing)

    def _find_standing(self) -> Keypoints | None:
        """The source person's joints on the output's canvas, which skeletons are aligned with."""
        source = self.subject.source
        if source is not None and (keypoints := source.read_keypoints()) is not None:
            return fit_keypoints(keypoints, Fit(*self.size[1:]))
        return None if self.in_source is None else self.in_source.keypoints

    def _read_or_follow(self, clip: Clip, name: str) -> Keypoints | None:
        if (ready := clip.read_keypoints()) is not None:
            return ready
        frames = stream(clip)
        track = self._follow(frames, describe_frames(frames)[0], name)
        return None if track is None else track.keypoints

    def _follow(self, frames: Frames, count: int, name: str) -> Track | None:
        if isinstance(self.backend, str):
            self.why = self.why or self.backend
            return None
        track = follow_in_stream(frames, count, self.backend, self.progress, f"{self.subject.name}'s {name}")
        if track is None:
            self.why = self.why or f"nobody was found in the {name}"
        return track
