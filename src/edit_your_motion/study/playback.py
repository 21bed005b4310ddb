"""Clips that every browser plays: copied as they are where they do already, encoded where they do not."""

import shutil
from pathlib import Path

from edit_your_motion.errors import InputError
from edit_your_motion.storage.files import written_whole
from edit_your_motion.study.definition import LARGEST_CLIP, digest_file
from edit_your_motion.video import read_video, write_video
from edit_your_motion.video.clip import require_source
from edit_your_motion.video.containers import open_container
from edit_your_motion.video.pictures import is_picture

PLAYED = {
    "mp4": ({"h264"}, {"yuv420p", "yuvj420p"}, {"aac", "mp3"}),
    "webm": ({"vp8", "vp9"}, {"yuv420p"}, {"opus", "vorbis"}),
}
"""Codecs, pixel formats and sound that Chrome, Firefox and Safari of 2023 and later play, by container."""
SIGNATURES = {"mp4": (4, b"ftyp"), "webm": (0, b"\x1a\x45\xdf\xa3")}


def playable_as(path: Path) -> str | None:
    """The container, "mp4" or "webm", of a file that browsers play as it is; None for all else.

    Raises:
        VideoError: a file that is neither a picture nor a video that can be read.
    """
    if path.is_dir() or is_picture(path):
        return None
    with path.open("rb") as file:
        head = file.read(16)
    container = next((name for name, (at, sign) in SIGNATURES.items() if head[at : at + len(sign)] == sign), None)
    if container is None or (container == "webm" and path.suffix.lower() != ".webm"):  # Matroska begins alike
        return None
    codecs, formats, sounds = PLAYED[container]
    with open_container(path) as opened:
        pictures, sound = opened.streams.video, opened.streams.audio
        if len(pictures) != 1 or pictures[0].codec_context is None:
            return None
        codec = pictures[0].codec_context
        heard = {track.codec_context.name for track in sound if track.codec_context is not None}
        plays = codec.name.removeprefix("lib") in codecs and codec.pix_fmt in formats and heard <= sounds
    return container if plays else None


def add_clip(source: Path, folder: Path) -> str:
    """Brings a clip into a folder under its content's digest, and returns that name.

    A file that browsers play is copied byte by byte; anything else that `read_video` reads becomes H.264.

    Args:
        source: a video, a picture or a folder of frames.
        folder: where to.

    Raises:
        VideoError: it cannot be read.
        InputError: it is larger than 256 MiB.
        DiskFullError: no room is left.
    """
    require_source(source)
    container = playable_as(source)
    ready = folder / f"new.{container or 'mp4'}"
    if container is None:
        video = read_video(source)
        write_video(ready, video.frames, video.fps)
    else:
        _check_size(source)
        with written_whole(ready) as temporary:
            shutil.copyfile(source, temporary)
    _check_size(ready)
    name = f"{digest_file(ready)}{ready.suffix}"
    ready.replace(folder / name)
    return name


def _check_size(path: Path) -> None:
    size = path.stat().st_size
    if not 0 < size <= LARGEST_CLIP:
        raise InputError(
            f"expected a clip of 1 byte to {LARGEST_CLIP >> 20} MiB, {path} has {size} bytes: cut or compress it"
        )
