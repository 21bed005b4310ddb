"""The stretch of sound that belongs to a clip."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from einops import rearrange
from jaxtyping import Float32

from edit_your_motion.errors import VideoError
from edit_your_motion.video.containers import in_seconds, open_container, picture_origin

AAC_RATES = (32000, 44100, 48000)


@dataclass(frozen=True, eq=False)
class Sound:
    """Sound samples, -1 to 1, of one or two channels.

    Args:
        samples: a row for each channel.
        rate: samples per second.
    """

    samples: Float32[np.ndarray, "channels samples"]
    rate: int

    @property
    def layout(self) -> str:
        """FFmpeg's name of the channel layout."""
        return "stereo" if len(self.samples) == 2 else "mono"

    def cut(self, begin: Fraction, end: Fraction) -> av.AudioFrame:
        """The samples between two times in seconds, ready for an encoder."""
        first, last = round(begin * self.rate), round(end * self.rate)
        packed = rearrange(self.samples[:, first:last], "channels samples -> 1 (samples channels)")
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(packed), format="flt", layout=self.layout)
        frame.sample_rate, frame.pts, frame.time_base = self.rate, first, Fraction(1, self.rate)
        return frame


def read_sound(path: Path, start: float | int, duration: Fraction) -> Sound | None:
    """The sound of a video file between two moments, silent where the file has none; None without a sound track.

    Args:
        path: the video file; a picture or a folder has no sound.
        start: seconds after the video's first frame.
        duration: seconds.

    Raises:
        VideoError: the sound track cannot be decoded.
    """
    with open_container(path) as container:
        if not container.streams.audio:
            return None
        track = container.streams.audio[0]
        if track.codec_context is None:
            raise VideoError(f"the sound of {path} is coded in an unknown way: write the clip without sound")
        rate = track.rate if track.rate in AAC_RATES else AAC_RATES[-1]
        channels = min(track.layout.nb_channels, 2)
        sound = Sound(np.zeros((channels, round(duration * rate)), np.float32), rate)
        begin = Fraction(start).limit_denominator(10**6) + picture_origin(path)
        resampler = av.AudioResampler(format="fltp", layout=sound.layout, rate=rate)
        try:
            if begin > 0:
                container.seek(int(begin / in_seconds(1, track.time_base)), stream=track)
            for frame in container.decode(track):
                if in_seconds(frame.pts or 0, frame.time_base) >= begin + duration:
                    break
                for piece in resampler.resample(frame):
                    since = in_seconds(piece.pts or 0, piece.time_base) - begin
                    _lay(sound.samples, piece, round(since * rate))
        except av.error.FFmpegError as error:
            raise VideoError(
                f"the sound of {path} cannot be read ({error.strerror}): write the clip without sound"
            ) from error
        return sound


def _lay(samples: Float32[np.ndarray, "channels samples"], piece: av.AudioFrame, place: int) -> None:
    """Put a piece of sound at its place, as far as it lies within."""
    values = piece.to_ndarray()
    first, last = max(place, 0), min(place + values.shape[1], samples.shape[1])
    if first < last:
        samples[:, first:last] = values[:, first - place : last - place]
