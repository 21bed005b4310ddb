"""Pairs for measuring a motion edit against the truth."""

from dataclasses import dataclass, replace

from edit_your_motion.stage.render import RenderedClip, render_clip, usual_place
from edit_your_motion.stage.scene import Scene, View, sample_performance, sample_view, split_generator

_PURPOSE = 1
"""Keeps the random numbers of pairs apart from those of scenes."""


@dataclass(frozen=True)
class Pair:
    """An edit with a known answer.

    Args:
        source: one person doing motion A: what is edited.
        reference: another person, somewhere else, doing motion B: where the motion comes from.
        truth: the first person doing B, in the source's place and before its camera: what the edit should be.
    """

    source: Scene
    reference: Scene
    truth: Scene

    @classmethod
    def sample(
        cls,
        seed: int,
        split: str = "held_out",
        *,
        moving_camera: bool = False,
        single_picture: bool = False,
        edition: int = 1,
    ) -> "Pair":
        """A pair of one split, everybody in full view.

        Args:
            seed: 0 or more; the same seed gives the same pair.
            split: "train" or "held_out".
            moving_camera: the source's camera moves, else it stands still.
            single_picture: the source's person and camera keep still, as in a photograph.
            edition: of the looks, as of `Scene.sample`.

        Raises:
            ConfigError: an unknown split or edition, or a negative seed.
        """
        rng = split_generator(seed, split, _PURPOSE)
        people = [Scene.sample(int(number), split, edition) for number in rng.integers(2**31, size=2)]
        views = []
        for person in people:
            view = sample_view(rng, person.identity, whole=True, moving=moving_camera and not single_picture)
            views.append(view)
        first = sample_performance(rng, split)
        second = first
        while second.name == first.name:
            second = sample_performance(rng, split)
        if single_picture:
            first = replace(first, speed=0.0)
        source = replace(people[0], performance=first, view=views[0])
        reference = replace(people[1], performance=second, view=View(views[1].camera))
        return cls(source, reference, replace(source, performance=second))


@dataclass(frozen=True)
class RenderedPair:
    """A pair's three clips, of the same length and size."""

    source: RenderedClip
    reference: RenderedClip
    truth: RenderedClip


def render_pair(pair: Pair, *, frames: int, size: tuple[int, int] = (256, 256), fps: float | int = 12) -> RenderedPair:
    """The three clips of a pair, the truth's motion centred where the source's is.

    Nothing in a source and a reference says how far apart two motions are on the ground; an edit keeps the person's
    place, so the truth does: the middle of its travel is the middle of the source's.

    Args:
        pair: what to render.
        frames: of each clip.
        size: height and width, pixels.
        fps: frames per second.
    """
    (x, z), (truth_x, truth_z) = (usual_place(scene, frames=frames, fps=fps) for scene in (pair.source, pair.truth))
    truth = replace(pair.truth, offset=(x - truth_x, z - truth_z))
    return RenderedPair(
        *(render_clip(scene, frames=frames, size=size, fps=fps) for scene in (pair.source, pair.reference, truth))
    )
