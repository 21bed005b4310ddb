"""Other projects' outputs as methods under test: a folder with a clip for each case."""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from edit_your_motion.benchmark.methods.catalogue import METHODS
from edit_your_motion.datasets.case import check_name
from edit_your_motion.datasets.clip import Clip
from edit_your_motion.datasets.folder import find_clip
from edit_your_motion.errors import ConfigError, VideoError
from edit_your_motion.metrics.frames import resize_frame

_BLOCK = 1 << 20


@dataclass(frozen=True)
class ExternalMethod:
    """Another project, by its finished frames.

    Args:
        name: stands in tables and names folders.
        folder: has ``CASE.mp4`` or ``CASE/`` with numbered pictures for each case.
    """

    name: str
    folder: Path

    @property
    def description(self) -> str:
        """What it is, in a sentence that a table can carry."""
        return f"outputs of {self.name}, made outside of this package"

    def find(self, case: str) -> Clip:
        """The clip for a case.

        Raises:
            VideoError: there is none.
            InputError: there are two.
        """
        clip = find_clip(self.folder, case)
        if clip is None:
            raise VideoError(
                f"expected {self.name}'s output for {case} as {case}.mp4, or as pictures in {case}/, in {self.folder}, "
                "got neither: add it"
            )
        return clip

    def fingerprint(self, case: str) -> str | None:
        """Tells the files for a case from those of another time; None where there are none."""
        clip = find_clip(self.folder, case)
        if clip is None:
            return None
        digest = sha256()
        for path in sorted(clip.path.iterdir()) if clip.path.is_dir() else [clip.path]:
            digest.update(path.name.encode())
            with path.open("rb") as file:
                while block := file.read(_BLOCK):
                    digest.update(block)
        return digest.hexdigest()

    def read(
        self, case: str, frames: int, height: int, width: int
    ) -> tuple[UInt8[np.ndarray, "{frames} {height} {width} 3"], tuple[str, ...]]:
        """The frames for a case at the size of the truth, and what was done to them.

        Args:
            case: its name.
            frames: how many there have to be.
            height: of the truth, pixels; other sizes are resized (PIL bicubic), which is noted.
            width: of the truth, pixels.

        Raises:
            VideoError: there are none, or another number of frames.
        """
        clip = self.find(case)
        made = clip.read().frames
        if len(made) != frames:
            raise VideoError(
                f"expected {frames} frames in {clip.path}, one for each of the reference's, got {len(made)}: cut it to "
                "the frames that go with the reference's"
            )
        if made.shape[1:3] == (height, width):
            return made, ()
        note = f"resized from {made.shape[2]}x{made.shape[1]} to {width}x{height} (bicubic)"
        return np.stack([resize_frame(frame, height, width) for frame in made]), (note,)


def parse_external(texts: Iterable[str]) -> tuple[ExternalMethod, ...]:
    """The external methods that ``NAME=FOLDER`` texts name.

    Raises:
        ConfigError: a text of another form, a name that is taken, or no such folder.
        InputError: a name that cannot name a folder.
    """
    methods: dict[str, ExternalMethod] = {}
    for text in texts:
        name, equals, folder = text.partition("=")
        if not (name and equals and folder):
            raise ConfigError(f"expected an external method as NAME=FOLDER, got '{text}'")
        if name in METHODS or name in methods:
            raise ConfigError(f"expected another name for the external method '{name}': there is one of that name")
        if not Path(folder).is_dir():
            raise ConfigError(f"expected the outputs of '{name}' in the folder {folder}: there is no such folder")
        methods[check_name(name)] = ExternalMethod(name, Path(folder))
    return tuple(methods.values())
