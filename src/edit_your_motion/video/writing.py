"""Write a clip: an mp4 that browsers play, an animated picture or a folder of pictures."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from itertools import count, pairwise
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from jaxtyping import UInt8
from PIL import Image

from edit_your_motion.errors import ConfigError
from edit_your_motion.runtime.parallel_map import parallel_map
from edit_your_motion.storage.files import written_whole
from edit_your_motion.video.clip import LONGEST, Video
from edit_your_motion.video.pictures import is_picture
from edit_your_motion.video.sound import Sound, read_sound

CONTAINERS = frozenset({".mp4", ".mov", ".m4v", ".mkv"})
# Frames per second up to which no delay gets so short, on the format's clock, that players take it for a mistake.
ANIMATED = {".gif": 50, ".webp": 90}
BT709 = 1  # the same number names the primaries, the transfer curve and the matrix
AAC_BIT_RATE = 192_000
USUAL = 18
"""H.264 quality that is hardly told from the original."""
QUICK = {"preset": "veryfast"}
# x264's macroblock tree reads memory that nobody wrote, unless both sides are multiples of 128 pixels, and the number
# of threads decides how frames are coded: with these two the same frames give the same file in every run.
REPEATABLE = {"mbtree": "0", "threads": "4"}


def write_video(
    path: Path | str,
    frames: UInt8[np.ndarray, "f h w 3"],
    fps: float | int | Fraction,
    *,
    sound: Video | None = None,
    crf: int = USUAL,
    quick: bool = False,
    on_frame: Callable[[int], None] | None = None,
) -> None:
    """Writes the frames to a file or folder, whole or not at all; the ending of its name decides the format.

    `.mp4`, `.mov`, `.m4v`, `.mkv`: H.264 in 4:2:0, BT.709, with AAC sound; an odd side grows by one repeated row or
    column, which 4:2:0 needs. `.gif` and `.webp`: animated, endless, up to 50 and 90 frames per second; in a GIF equal
    neighbours become one longer frame. No ending: a new or empty folder of PNG files.

    Args:
        path: where to; missing parent folders are made.
        frames: at least one, RGB, 0 to 255.
        fps: frames per second, above 0; exact where it is a Fraction.
        sound: the clip whose source's sound goes along, from its start on for as long as the frames last; a clip
            without a sound track, and a format without sound, leave it out.
        crf: H.264 quality, 0 (lossless) to 51; 18 is hardly told from the original.
        quick: H.264 is coded in a third of the time, for a film to look at once; the file is a little larger.
        on_frame: called after each frame with how many are written.

    Raises:
        ConfigError: no frames, a rate, quality or ending out of range, or a folder with something in it.
        VideoError: the sound cannot be read.
        DiskFullError: no room was left; nothing half-written remains.
        InputError: the place cannot be written to.
    """
    path, suffix = Path(path), Path(path).suffix.lower()
    if not len(frames) or not (math.isfinite(fps) and fps > 0) or not 0 <= crf <= 51:
        raise ConfigError(
            f"expected at least one frame, a rate above 0 and a crf of 0 to 51, got {len(frames)}, {fps} and {crf}"
        )
    rate = Fraction(fps) if isinstance(fps, Fraction | int) else Fraction(fps).limit_denominator(10**6)
    if len(frames) > LONGEST * rate:
        raise ConfigError(
            f"a clip lasts up to a day, got {len(frames)} frames at {fps} frames per second: raise the rate"
        )
    report = on_frame or (lambda count: None)
    if suffix in CONTAINERS:
        quality = {"crf": str(crf), **(QUICK if quick else {})}
        track = _sound_of(sound, len(frames) / rate)
        with written_whole(path) as temporary, _encoding(temporary, frames.shape[1:3], rate, track, quality) as add:
            for index, picture in enumerate(parallel_map(_to_yuv, frames)):
                add(picture)
                report(index + 1)
        return
    if suffix and suffix not in ANIMATED:
        endings = ", ".join(sorted(CONTAINERS | ANIMATED.keys()))
        raise ConfigError(f"a clip is written to {endings} or a folder (a name without ending), got {path.name!r}")
    if suffix:
        if rate > ANIMATED[suffix]:
            raise ConfigError(f"{suffix} plays up to {ANIMATED[suffix]} frames per second, got {fps}: write .mp4")
        with written_whole(path) as temporary:
            _animate(temporary, frames, len(frames), rate, report)
        return
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise ConfigError(f"{path} exists already: expected a new or an empty folder, or a name ending in .mp4")
    with written_whole(path) as temporary:
        _save_pictures(temporary, frames, report)


def write_together(
    paths: Sequence[Path],
    size: tuple[int, int],
    fps: Fraction,
    draw: Callable[[int], Sequence[UInt8[np.ndarray, "h w 3"]]],
    frames: int,
    *,
    on_frame: Callable[[int], None] | None = None,
) -> None:
    """Writes films to look at whose frames are made together, each whole or not at all: as `write_video`'s quick ones.

    Args:
        paths: where to, each ending as one of `CONTAINERS`.
        size: height and width of all frames, pixels.
        fps: frames per second, above 0.
        draw: makes the frames of an index, one for each path; called in threads, so that no second clip is held.
        frames: how many there are.
        on_frame: called after each index with how many are written.

    Raises:
        DiskFullError: no room was left; nothing half-written remains.
        InputError: a place cannot be written to.
    """
    quality = {"crf": str(USUAL), **QUICK}

    def draw_yuv(index: int) -> list[av.VideoFrame]:
        return [_to_yuv(pixels) for pixels in draw(index)]

    with ExitStack() as films:
        places = [films.enter_context(written_whole(path)) for path in paths]
        adders = [films.enter_context(_encoding(place, size, fps, None, quality)) for place in places]
        for index, pictures in enumerate(parallel_map(draw_yuv, range(frames))):
            for add, picture in zip(adders, pictures, strict=True):
                add(picture)
            if on_frame is not None:
                on_frame(index + 1)


def _sound_of(video: Video | None, duration: Fraction) -> Sound | None:
    if video is None or video.source is None or not video.source.is_file() or is_picture(video.source):
        return None
    return read_sound(video.source, video.start, duration)


@contextmanager
def _encoding(
    path: Path, size: tuple[int, int], rate: Fraction, sound: Sound | None, quality: dict[str, str]
) -> Iterator[Callable[[av.VideoFrame], None]]:
    """What takes one frame after another, as `_to_yuv` makes them, of an H.264 film that is complete at the end."""
    height, width = (side + side % 2 for side in size)
    options = {} if path.suffix.lower() == ".mkv" else {"movflags": "+faststart"}
    with av.open(f"file:{path}", "w", options=options) as container:
        pictures = container.add_stream("libx264", rate=rate, options={**quality, **REPEATABLE})
        pictures.width, pictures.height, pictures.pix_fmt = width, height, "yuv420p"
        codec = pictures.codec_context
        codec.time_base = 1 / rate
        codec.colorspace = codec.color_primaries = codec.color_trc = BT709
        codec.color_range = ColorRange.MPEG
        track = None
        if sound is not None:
            track = container.add_stream("aac", rate=sound.rate, layout=sound.layout, bit_rate=AAC_BIT_RATE)
        numbers = count()

        def add(picture: av.VideoFrame) -> None:
            index = next(numbers)
            picture.pts, picture.time_base = index, 1 / rate
            container.mux(pictures.encode(picture))
            if sound is not None and track is not None:
                container.mux(track.encode(sound.cut(index / rate, (index + 1) / rate)))

        yield add
        container.mux(pictures.encode(None))
        if track is not None:
            container.mux(track.encode(None))


def _to_yuv(pixels: UInt8[np.ndarray, "h w 3"]) -> av.VideoFrame:
    """The frame in 4:2:0, for which an odd side grows by one."""
    height, width = pixels.shape[:2]
    if height % 2 or width % 2:
        pixels = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
    return picture.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG)


def _delays(count: int, rate: Fraction, unit: int) -> list[int]:
    """Milliseconds that each frame is shown, multiples of `unit` whose sums stay as close to the rate as they can."""
    ends = [round(index * 1000 / rate / unit) * unit for index in range(count + 1)]
    return [later - earlier for earlier, later in pairwise(ends)]


def _animate(
    path: Path,
    frames: Iterable[UInt8[np.ndarray, "h w 3"]],
    count: int,
    rate: Fraction,
    report: Callable[[int], None],
) -> None:
    is_gif = path.suffix.lower() == ".gif"
    delays = _delays(count, rate, 10 if is_gif else 1)

    def pictures() -> Iterator[Image.Image]:
        for index, pixels in enumerate(frames):
            image = Image.fromarray(pixels)
            yield image.quantize(256, dither=Image.Dither.FLOYDSTEINBERG) if is_gif else image
            report(index + 1)

    first, *rest = pictures()
    first.save(path, save_all=True, append_images=rest, duration=delays, loop=0, quality=90)


def _save_pictures(folder: Path, frames: Iterable[UInt8[np.ndarray, "h w 3"]], report: Callable[[int], None]) -> None:
    folder.mkdir()
    for index, pixels in enumerate(frames):
        Image.fromarray(pixels).save(folder / f"frame{index:05d}.png")
        report(index + 1)
