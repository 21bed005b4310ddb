"""How cases are cut out of the clips of a data set."""

from typing import Literal

from pydantic import Field

from edit_your_motion.config import Section


class CasesConfig(Section):
    """How cases are cut out of a data set's clips.

    Self-reenactment, as the literature does it: a person's own later frames are both the reference and the truth, so
    that the right answer is known. There the source is a clip's first frame; a method that is tuned on a video gets
    the first few. ``source_frames: 1`` is the literature's setting, and ``gap`` keeps source and truth apart.
    Cross-reenactment gives a person the motion of the split's next clip; nobody knows its truth.
    """

    frames: int = Field(8, ge=1, le=4096, description="Of reference, truth and edit.")
    source_frames: int = Field(8, ge=1, le=4096, description="Of the source; 1 is a single picture.")
    stride: int = Field(1, ge=1, le=1000, description="Take every n-th frame.")
    fps: float = Field(30.0, gt=0, le=1000, description="Frames per second of folders of pictures.")
    protocol: Literal["self", "cross"] = Field(
        "self",
        description="Of TikTok: reference and truth are a person's own later frames, or the reference is the next"
        " clip, without truth.",
    )
    gap: int = Field(0, ge=0, le=100_000, description="Frames left out between source and truth (self).")
    split: str = Field("tiktok", description="Of TikTok: one of ours, a YAML file of that form, or 'all'.")
    prompt: str = Field("a person is dancing", description="Of cases that come without one.")
