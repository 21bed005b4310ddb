"""The film among a container's tracks, and its frames."""

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import av
from av.stream import Disposition

from edit_your_motion.errors import VideoError
from edit_your_motion.video.clip import check_sides

# Covers, previews for the seek bar, and layers that mean nothing without the track they belong to.
BESIDE_THE_FILM = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.dependent
# What covers are coded in. A film may be too, but not beside one that is not.
PICTURE_CODECS = frozenset({"mjpeg", "png", "bmp", "webp", "gif", "tiff"})
# FFmpeg's own decoders pass over the transparency of these.
ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
# Pictures in the containers of films. What is stored as tiles has no track of its own.
STILL_BRANDS = frozenset({"heic", "heix", "heim", "heis", "mif1", "avif"})
# Codec tags of Dolby Vision whose base layer is in colours of its own, unless tags say otherwise.
DOLBY_TAGS = frozenset({"dvh1", "dvhe", "dva1", "dvav", "dav1"})


def choose_track(container: av.container.InputContainer, path: Path) -> av.VideoStream:
    """The track that players show: no cover, moving rather than still, the default one, the largest.

    Args:
        container: open.
        path: the file, for messages.

    Raises:
        VideoError: there is none, its codec is unknown, or its frames are too large.
    """
    tracks = [track for track in container.streams.video if not track.disposition & BESIDE_THE_FILM]
    is_still = container.metadata.get("major_brand", "").strip() in STILL_BRANDS
    if is_still and not any(track.disposition & Disposition.default for track in tracks):
        raise VideoError(f"{path} is a picture in tiles (HEIC), which are not put together: save it as JPEG or PNG")
    if not tracks:
        found = "only sound" if container.streams.audio else "no pictures"
        raise VideoError(f"{path} holds {found}: expected a video")
    known = [track for track in tracks if track.codec_context is not None]
    if not known:
        raise VideoError(f"{path} is coded in a way that this FFmpeg does not know: convert it to H.264")
    track = max(known, key=_prominence)
    check_sides(path, track.codec_context.width, track.codec_context.height)
    if _read_tag(track) in DOLBY_TAGS and track.codec_context.color_trc == 2:
        raise VideoError(
            f"{path} is Dolby Vision without a layer in colours that others can show: convert it to HDR10, HLG or SDR"
        )
    track.thread_type = "AUTO"
    return track


def _read_tag(track: av.VideoStream) -> str | None:
    """The four letters by which the container names the codec; None where they are no letters."""
    try:
        return track.codec_context.codec_tag
    except UnicodeDecodeError:
        return None


def _prominence(track: av.VideoStream) -> tuple[bool, bool, bool, int]:
    is_default = bool(track.disposition & Disposition.default)
    # Matroska counts no frames and marks no covers.
    is_film = track.codec_context.name not in PICTURE_CODECS
    return track.frames != 1, is_film, is_default, track.codec_context.width * track.codec_context.height


def decode_frames(container: av.container.InputContainer, track: av.VideoStream) -> Iterator[av.VideoFrame]:
    """The track's frames from where the container stands, their transparency included."""
    decoder = ALPHA_DECODERS.get(track.codec_context.name)
    if track.metadata.get("alpha_mode") != "1" or decoder not in av.codecs_available:
        yield from container.decode(track)
        return
    context = cast(av.VideoCodecContext, av.CodecContext.create(decoder, "r"))
    context.extradata = track.codec_context.extradata
    for packet in container.demux(track):
        yield from context.decode(packet)
