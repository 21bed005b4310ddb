"""Clips as phones, cameras, screen recorders and editors write them: shown as players show them."""

import struct
from fractions import Fraction
from itertools import product
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition
from jaxtyping import Float64, UInt8, UInt16

from edit_your_motion.errors import VideoError
from edit_your_motion.video import probe, read_video
from edit_your_motion.video.colours import KNEE, Colours, to_ordinary
from edit_your_motion.video.cropping import Crop, read_crop
from edit_your_motion.video.reading import describe_gaps
from foreign_files import (
    CASES,
    ORIENTATIONS,
    PRIMARIES,
    QUARTERS,
    TRANSFERS,
    chart,
    coded,
    farthest,
    inside,
    needs_cases,
    patches,
    pq,
    xyz,
)

MATRICES = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114), 7: (0.212, 0.087), 9: (0.2627, 0.0593)}


def planes(signal: Float64[np.ndarray, "h w 3"], matrix: int, bits: int, full: bool) -> UInt16[np.ndarray, "3 h w"]:
    """Luma and both differences of a signal, as BT.709 and its kin write them, without subsampling."""
    red, blue = MATRICES[matrix]
    luma = signal @ (red, 1 - red - blue, blue)
    differences = [(signal[..., 2] - luma) / (2 - 2 * blue), (signal[..., 0] - luma) / (2 - 2 * red)]
    unit, most = 1 << (bits - 8), (1 << bits) - 1
    black, span, chroma = (0, most, most) if full else (16 * unit, 219 * unit, 224 * unit)
    values = [luma * span + black, *(each * chroma + 128 * unit for each in differences)]
    return np.rint(np.clip(values, 0, most)).astype(np.uint16)


def write(
    path: Path,
    values: UInt16[np.ndarray, "3 h w"],
    bits: int = 10,
    *,
    tags: tuple[int, int, int, int] = (2, 2, 2, 0),
    count: int = 2,
    codec: str = "ffv1",
) -> Path:
    """A lossless film of one still; tags are primaries, curve, matrix and range by H.273's numbers."""
    kind = "yuv444p" if bits == 8 else f"yuv444p{bits}le"
    with av.open(str(path), "w") as container:
        track = container.add_stream(codec, rate=10)
        track.height, track.width, track.pix_fmt = *values.shape[1:], kind
        context = track.codec_context
        context.color_primaries, context.color_trc, context.colorspace, context.color_range = tags
        for _ in range(count):
            frame = av.VideoFrame(values.shape[2], values.shape[1], kind)
            frame.color_primaries, frame.color_trc, frame.colorspace, frame.color_range = tags
            for plane, level in zip(frame.planes, values, strict=True):
                rows = np.zeros((plane.height, plane.line_size), np.uint8)
                data = np.ascontiguousarray(level.astype(np.uint8 if bits == 8 else np.uint16)).view(np.uint8)
                rows[:, : data.shape[1]] = data
                plane.update(rows.tobytes())
            container.mux(track.encode(frame))
        container.mux(track.encode(None))
    return path


@pytest.mark.parametrize(("full", "bits"), [(False, 10), (True, 12)], ids=["limited", "full"])
@pytest.mark.parametrize(
    ("primaries", "transfer"),  # HLG's weights are those of BT.2020
    [pair for pair in product(PRIMARIES, TRANSFERS) if pair[1] != "hlg" or pair[0] == "bt2020"],
)
def test_tagged_colours(tmp_path: Path, primaries: str, transfer: str, full: bool, bits: int) -> None:
    matrix = 9 if primaries == "bt2020" else 5 if primaries == "bt470bg" else 7 if primaries == "smpte240m" else 1
    values = planes(coded(chart(), primaries, transfer), matrix, bits, full)
    tags = (PRIMARIES[primaries][0], TRANSFERS[transfer][0], matrix, 2 if full else 1)
    path = write(tmp_path / "a.mkv", values, bits, tags=tags)
    video, info = read_video(path), probe(path)
    assert farthest(video.frames[0], patches(inside(chart(), primaries))) <= 3
    if transfer in ("pq", "hlg"):
        assert "HDR" in info.warnings[0]
    else:
        assert bool(info.warnings) == (primaries in ("bt2020", "display-p3"))


@needs_cases
def test_hlg_of_a_phone() -> None:
    assert farthest(read_video(CASES / "hlg.mp4").frames[0]) <= 4
    assert "HDR (HLG, BT.2020)" in probe(CASES / "hlg.mp4").warnings[0]


@pytest.mark.parametrize("transfer", ["pq", "hlg"])
def test_highlights_keep_their_order_and_hue(transfer: str) -> None:
    """Light beyond white becomes brighter with every step, up to the content's peak, and stays of one hue."""
    light = np.linspace(0, 1000 / 203, 200)[None, :, None] * np.array([1.0, 0.5, 0.25])
    into = np.linalg.inv(xyz(PRIMARIES["bt2020"][1])) @ xyz(PRIMARIES["bt709"][1])
    number, curve = TRANSFERS[transfer]
    signal = np.rint(curve(np.maximum(light @ into.T, 1e-9)) * 65535).clip(0, 65535).astype(np.uint16)
    shown = to_ordinary(signal, Colours(9, number))[0].astype(int)
    assert (np.diff(shown[:, 0]) >= 0).all()
    assert shown[-1, 0] >= 254
    linear = (shown / 255) ** 2.4
    assert np.abs(linear[40:, 1] / linear[40:, 0] - 0.5).max() < 0.02
    below = light[0, :, 0] < KNEE
    assert np.abs(linear[below] - light[0, below]).max() < 0.01


def test_the_content_s_peak_is_white() -> None:
    """A film that never gets brighter than a page is not touched, one of 4000 cd/m2 is compressed more."""
    page = np.full((4, 4, 3), np.rint(float(pq(np.ones(1))[0]) * 65535), np.uint16)
    brightness = [int(to_ordinary(page, Colours(9, 16, peak))[0, 0, 0]) for peak in (203.0, 400.0, 1000.0, 4000.0)]
    assert brightness[0] == 255
    assert brightness == sorted(brightness, reverse=True)
    assert brightness[-1] > 240


@pytest.mark.parametrize(
    ("height", "width", "tags", "matrix"),
    [
        (480, 640, (2, 2, 2, 0), 5),
        (576, 1024, (2, 2, 2, 0), 5),
        (578, 320, (2, 2, 2, 0), 1),
        (544, 1280, (2, 2, 2, 0), 1),
        (720, 1280, (2, 2, 2, 0), 1),
        (320, 640, (1, 1, 2, 1), 5),
        (544, 1280, (5, 6, 2, 1), 1),
        (64, 256, (9, 16, 2, 1), 9),
        (64, 256, (2, 18, 2, 1), 9),
        (64, 256, (9, 14, 2, 1), 9),
        (720, 1280, (2, 2, 5, 1), 5),
        (64, 256, (2, 2, 1, 1), 1),
        (64, 256, (2, 2, 2, 2), 5),
    ],
    ids=str,
)
def test_missing_tags_are_guessed_as_players_do(
    tmp_path: Path, height: int, width: int, tags: tuple[int, int, int, int], matrix: int
) -> None:
    primaries = {9: "bt2020", 5: "bt470bg", 1: "bt709", 2: "bt2020" if tags[1] == 18 else "bt709"}[tags[0]]
    transfer = {1: "bt709", 2: "unspecified", 6: "smpte170m", 14: "bt2020-10", 16: "pq", 18: "hlg"}[tags[1]]
    values = planes(coded(chart(height, width), primaries, transfer), matrix, 10, full=tags[3] == 2)
    assert farthest(read_video(write(tmp_path / "a.mkv", values, tags=tags)).frames[0]) <= 3


@needs_cases
def test_untagged_wide_clip() -> None:
    assert farthest(read_video(CASES / "untag_1280x544.mp4").frames[0]) <= 4


@pytest.mark.parametrize(("tags", "depth"), [((2, 2, 0, 0), 8), ((1, 1, 1, 1), 8), ((1, 13, 0, 2), 8)])
def test_rgb_stays_as_it_is(tmp_path: Path, tags: tuple[int, int, int, int], depth: int) -> None:
    """Screen recorders write RGB without loss; a matrix or a range in its tags means nothing."""
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        track = container.add_stream("ffv1", rate=10)
        track.height, track.width, track.pix_fmt = *chart().shape[:2], "bgra"
        frame = av.VideoFrame.from_ndarray(chart(), format="rgb24").reformat(format="bgra")
        frame.color_primaries, frame.color_trc, frame.colorspace, frame.color_range = tags
        container.mux([*track.encode(frame), *track.encode(None)])
    assert farthest(read_video(tmp_path / "a.mkv").frames[0]) == 0


def test_grey_film_of_limited_range(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        track = container.add_stream("ffv1", rate=10)
        track.height, track.width, track.pix_fmt = 64, 64, "gray"
        track.codec_context.color_range = 1
        levels = np.repeat(np.array([16, 126, 235, 255], np.uint8), 16)[None].repeat(64, axis=0)
        container.mux([*track.encode(av.VideoFrame.from_ndarray(levels, format="gray")), *track.encode(None)])
    assert read_video(tmp_path / "a.mkv").frames[0, 0, ::16, 0].tolist() == [0, 128, 255, 255]


def test_matrices_that_are_not_read_are_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", planes(chart() / 255, 1, 10, full=False), tags=(9, 16, 14, 1))
    with pytest.raises(VideoError, match=r"a\.mkv.*ICtCp"):
        read_video(path)


UNIT = 1 << 16


def quarters(path: Path, aspect: Fraction = Fraction(1)) -> Path:
    """The quarters as H.264."""
    with av.open(str(path), "w") as container:
        track = container.add_stream("libx264", rate=10, options={"crf": "5"})
        track.height, track.width, track.pix_fmt = *QUARTERS.shape[:2], "yuv420p"
        track.codec_context.sample_aspect_ratio = aspect
        for _ in range(3):
            container.mux(track.encode(av.VideoFrame.from_ndarray(QUARTERS, format="rgb24")))
        container.mux(track.encode(None))
    return path


def turned(path: Path, matrix: tuple[int, int, int, int], aspect: Fraction = Fraction(1)) -> Path:
    """The quarters in MP4, with this matrix in the header of the track."""
    content = quarters(path, aspect).read_bytes()
    at = content.index(b"tkhd") + 4 + 40  # version and flags, times, track, duration, layer, group, volume
    upright = struct.pack(">9i", UNIT, 0, 0, 0, UNIT, 0, 0, 0, 1 << 30)
    assert content[at : at + 36] == upright
    a, b, c, d = (UNIT * number for number in matrix)
    path.write_bytes(content[:at] + struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30) + content[at + 36 :])
    return path


@pytest.mark.parametrize("number", ORIENTATIONS)
@pytest.mark.parametrize("aspect", [Fraction(1), Fraction(2)])
def test_all_orientations(tmp_path: Path, number: int, aspect: Fraction) -> None:
    matrix, orient = ORIENTATIONS[number]
    path = turned(tmp_path / "a.mp4", matrix, aspect)
    expected = orient(QUARTERS.repeat(int(aspect), axis=1))
    picture, info = read_video(path).frames[1], probe(path)
    assert picture.shape == expected.shape == (info.height, info.width, 3)
    assert np.abs(picture.astype(int) - expected).mean() < 6


@needs_cases
def test_a_mirrored_clip() -> None:
    picture = read_video(CASES / "flip.mp4").frames[0]
    corners = [picture[16, 16], picture[16, -16], picture[-16, 16], picture[-16, -16]]
    assert [corner.argmax() for corner in corners[:2]] == [1, 0]
    assert corners[2].min() > 200
    assert corners[3].argmax() == 2


def film(
    path: Path,
    levels: range | list[int],
    first: int = 0,
    *,
    codec: str = "libx264",
    kind: str = "yuv420p",
    side: int = 64,
    b_frames: int | None = None,
) -> Path:
    """Grey frames, ten levels apart, ten a second, from `first` tenths of a second on."""
    with av.open(str(path), "w") as container:
        track = container.add_stream(codec, rate=10)
        track.height, track.width, track.pix_fmt = side, side, kind
        track.codec_context.gop_size, track.codec_context.bit_rate = 5, 4_000_000
        if b_frames is not None:
            track.codec_context.max_b_frames = b_frames
        for index, level in enumerate(levels):
            frame = av.VideoFrame.from_ndarray(np.full((side, side, 3), 10 * level + 20, np.uint8), format="rgb24")
            frame.pts, frame.time_base = first + index, Fraction(1, 10)
            container.mux(track.encode(frame))
        container.mux(track.encode(None))
    return path


def levels(frames: UInt8[np.ndarray, "f h w 3"]) -> list[int]:
    return [round((float(frame.mean()) - 20) / 10) for frame in frames]


CODECS = {"webm": "libvpx-vp9", "mpg": "mpeg2video", "wmv": "mpeg4"}


@pytest.mark.parametrize(
    ("suffix", "first"),  # AVI has no times: its first frame is shown from the start
    [("avi", 0), *product(["mp4", "mov", "mkv", "webm", "ts", "mpg", "flv", "nut", "wmv"], [0, 7, 36000])],
)
@pytest.mark.parametrize("b_frames", [0, 2])
def test_a_clip_may_start_at_any_time(tmp_path: Path, suffix: str, first: int, b_frames: int) -> None:
    codec = CODECS.get(suffix, "libx264")
    path = film(
        tmp_path / f"a.{suffix}", range(20), first, codec=codec, b_frames=None if codec == "mpeg4" else b_frames
    )
    video, info = read_video(path), probe(path)
    assert levels(video.frames) == list(range(20))
    assert info.duration is None or suffix == "mpg" or info.duration == pytest.approx(2, abs=0.25)
    assert float(video.fps) == pytest.approx(10, rel=0.02)
    late = read_video(path, start=1.3)
    assert levels(late.frames) == list(range(13, 20))
    assert late.start == pytest.approx(1.3, abs=0.01)


@needs_cases
def test_a_clip_from_10_s_on() -> None:
    assert len(read_video(CASES / "off.mkv").frames) == 24


def test_a_recording_whose_clock_starts_anew(tmp_path: Path) -> None:
    """Transport streams joined end to end, as cameras and recorders of television do."""
    parts = [
        film(tmp_path / f"{index}.ts", range(6 * index, 6 * index + 6), first)
        for index, first in enumerate((500, 0, 3000))
    ]
    (tmp_path / "a.ts").write_bytes(b"".join(part.read_bytes() for part in parts))
    assert levels(read_video(tmp_path / "a.ts").frames) == list(range(18))
    assert levels(read_video(tmp_path / "a.ts", start=0.9).frames) == list(range(9, 18))
    assert levels(read_video(tmp_path / "a.ts", start=0.2, fps=5).frames) == list(range(2, 18, 2))


def layered(path: Path, *tracks: tuple[int, int, str, Disposition]) -> Path:
    """A file with a video track for each (side, number of frames, codec, disposition), all grey of level 30 x index."""
    with av.open(str(path), "w") as container:
        streams = []
        for side, _, codec, disposition in tracks:
            stream = container.add_stream(codec, rate=10)
            stream.height, stream.width = side, side
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            stream.disposition = disposition
            streams.append(stream)
        for index, (stream, (side, count, _, _)) in enumerate(zip(streams, tracks, strict=True)):
            for _ in range(count):
                grey = np.full((side, side, 3), 30 * index + 30, np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
            container.mux(stream.encode(None))
    return path


NONE, DEFAULT, COVER = Disposition(0), Disposition.default, Disposition.attached_pic


@pytest.mark.parametrize(
    ("suffix", "tracks", "chosen"),
    [
        ("mp4", [(96, 1, "mjpeg", COVER), (64, 5, "libx264", DEFAULT)], 1),
        ("mov", [(96, 1, "mjpeg", DEFAULT), (64, 5, "libx264", DEFAULT)], 1),
        ("mkv", [(96, 1, "mjpeg", DEFAULT), (64, 5, "libx264", DEFAULT)], 1),
        ("mkv", [(96, 5, "libx264", NONE), (64, 5, "libx264", DEFAULT)], 1),
        ("mkv", [(64, 5, "libx264", DEFAULT), (96, 5, "libx264", DEFAULT), (32, 5, "libx264", NONE)], 1),
        ("mp4", [(64, 5, "libx264", DEFAULT), (64, 5, "libx264", DEFAULT)], 0),
    ],
)
def test_the_film_among_several_tracks(
    tmp_path: Path, suffix: str, tracks: list[tuple[int, int, str, Disposition]], chosen: int
) -> None:
    path = layered(tmp_path / f"a.{suffix}", *tracks)
    video, info = read_video(path), probe(path)
    assert video.frames.shape[:2] == (5, tracks[chosen][0])
    assert (info.height, len(info.warnings)) == (tracks[chosen][0], 0)
    assert float(video.frames.mean()) == pytest.approx(30 * chosen + 30, abs=3)


def test_a_song_with_a_cover_is_no_film(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="no pictures"):
        read_video(layered(tmp_path / "a.mp4", (96, 1, "mjpeg", COVER)))


@needs_cases
def test_tiles_are_no_film(tmp_path: Path) -> None:
    content = (CASES / "grid.avif").read_bytes()
    (tmp_path / "a.heic").write_bytes(content.replace(b"avif", b"heic", 1).replace(b"avif", b"heic"))
    for call in (probe, read_video):
        with pytest.raises(VideoError, match=r"a\.heic is a picture in tiles"):
            call(tmp_path / "a.heic")


@pytest.mark.parametrize(
    ("name", "codec", "kind"),
    [
        ("a.webm", "libvpx", "yuva420p"),
        ("a.webm", "libvpx-vp9", "yuva420p"),
        ("a.mov", "prores_ks", "yuva444p10le"),
        ("a.mov", "qtrle", "argb"),
        ("a.mov", "png", "rgba"),
        ("a.mkv", "ffv1", "yuva420p"),
        ("a.mkv", "ffv1", "bgra"),
        ("a.apng", "apng", "rgba"),
    ],
)
def test_what_is_transparent_in_a_video_is_black(tmp_path: Path, name: str, codec: str, kind: str) -> None:
    pixels = np.full((64, 96, 4), (200, 180, 160, 255), np.uint8)
    pixels[:, :32, 3], pixels[:, 32:64, 3] = 0, 128
    with av.open(str(tmp_path / name), "w") as container:
        track = container.add_stream(codec, rate=10, options={"auto-alt-ref": "0"} if "vpx" in codec else {})
        track.height, track.width, track.pix_fmt, track.codec_context.bit_rate = 64, 96, kind, 4_000_000
        for _ in range(12):
            container.mux(track.encode(av.VideoFrame.from_ndarray(pixels, format="rgba").reformat(format=kind)))
        container.mux(track.encode(None))
    for start in (0, 0.9):
        frames = read_video(tmp_path / name, start=start).frames.astype(int)
        assert len(frames) == 12 - 10 * start
        assert frames[:, :, :24].max() <= 4
        assert np.abs(frames[:, :, 72:] - (200, 180, 160)).max() <= 8
        assert np.abs(frames[:, :, 44:52] - np.array((100, 90, 80))).max() <= 8


ADDRESSES = [
    "https://example.com/a.mp4",
    "http://example.com/a.mp4",
    "rtsp://example.com/a",
    "s3://bucket/a.mp4",
    "file:///tmp/a.mp4",
    "concat:a.mp4|b.mp4",
    "subfile,,start,0,end,99,,:a.mp4",
    "pipe:0",
    "data:video/mp4;base64,AAAA",
    "HTTPS://EXAMPLE.COM/A.MP4",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_addresses_are_not_read(address: str) -> None:
    for given in (address, Path(address)):
        for call in (probe, read_video):
            with pytest.raises(VideoError, match=r"addresses \(URLs\) are not read: download"):
                call(given)
    with pytest.raises(VideoError, match=r"^https://a\.b/c\.mp4 is an address"):
        probe(Path("https://a.b/c.mp4"))


@pytest.mark.parametrize("name", ["concat:a.mp4|b.mp4", "pipe:0", "%03d.mp4", "-i.mp4", "a?b=c.mp4", "data:,x.mp4"])
def test_names_that_look_like_protocols_are_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    film(tmp_path / "plain.mp4", range(3)).rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert levels(read_video(name).frames) == [0, 1, 2]


@pytest.mark.parametrize(
    "content",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.mp4\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile secret.mp4\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
        "<MPD xmlns='urn:mpeg:dash:schema:mpd:2011'><Period><BaseURL>secret.mp4</BaseURL></Period></MPD>",
        "[playlist]\nFile1=secret.mp4\n",
        "<ASX version='3.0'><Entry><Ref href='secret.mp4'/></Entry></ASX>",
    ],
    ids=["m3u8", "concat", "sdp", "mpd", "pls", "asx"],
)
@pytest.mark.parametrize("suffix", ["mp4", "m3u8", "mkv", "txt"])
def test_playlists_open_nothing(tmp_path: Path, suffix: str, content: str) -> None:
    film(tmp_path / "secret.mp4", range(3))
    (tmp_path / f"a.{suffix}").write_text(content)
    with pytest.raises(VideoError, match="no video that can be read"):
        read_video(tmp_path / f"a.{suffix}")


@pytest.mark.parametrize("suffix", ["mkv", "flv"])
def test_half_a_clip_that_starts_late_is_noticed(tmp_path: Path, suffix: str) -> None:
    path = film(tmp_path / f"a.{suffix}", [index % 20 for index in range(100)], 100)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 4 // 10])
    with pytest.raises(VideoError, match="breaks off"):
        read_video(path)


def with_aperture(path: Path, *numbers: int) -> Path:
    """The MP4 with a clean aperture: its width, its height, and how far it lies right of and below the middle."""
    data = path.read_bytes()
    aperture = struct.pack(">I4s8i", 40, b"clap", *(value for number in numbers for value in (number, 1)))
    begin = data.find(b"avc1", data.find(b"stsd")) - 4
    end = begin + int.from_bytes(data[begin : begin + 4], "big")
    grown = bytearray(data)
    boxes = [data.find(name) - 4 for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")]
    for at in (*boxes, begin):
        grown[at : at + 4] = (int.from_bytes(data[at : at + 4], "big") + len(aperture)).to_bytes(4, "big")
    grown[end:end] = aperture
    path.write_bytes(grown)
    return path


def element(data: bytes, name: bytes, at: int) -> tuple[int, int]:
    """Where the first element of a name among those from a place on has its size, and where its content begins.

    Found by going from one to the next: checksums and identifiers, drawn at random, may hold any name's bytes.
    """
    while True:
        size = at + 9 - data[at].bit_length()
        begin = size + 9 - data[size].bit_length()
        if data[at:size] == name:
            return size, begin
        digits = 7 * (begin - size)
        at = begin + int.from_bytes(data[size:begin], "big") % (1 << digits)


def with_pixel_crop(path: Path, *, top: int, bottom: int, left: int, right: int) -> Path:
    """The Matroska file with so many pixels said to be cut off."""
    data = path.read_bytes()
    sides = {0x54BB: top, 0x54AA: bottom, 0x54CC: left, 0x54DD: right}
    added = b"".join(struct.pack(">HBB", name, 0x81, value) for name, value in sides.items())
    grown, at, parents = bytearray(data), 0, []
    for name in (b"\x18\x53\x80\x67", b"\x16\x54\xae\x6b", b"\xae", b"\xe0"):  # from the segment to the picture
        size, at = element(data, name, at)
        parents.append((size, at))
    for size, end in parents:
        grown[size:end] = (int.from_bytes(data[size:end], "big") + len(added)).to_bytes(end - size, "big")
    grown[at:at] = added
    path.write_bytes(grown)
    return path


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
@pytest.mark.parametrize("number", [1, 6])
def test_what_a_container_cuts_off_is_not_shown(tmp_path: Path, suffix: str, number: int) -> None:
    """Of a frame of 96x64 in quarters, rows 10 to 59 and columns 16 to 87 are left."""
    path = tmp_path / f"a.{suffix}"
    path = quarters(path) if suffix == "mkv" else turned(path, ORIENTATIONS[number][0])
    whole = read_video(path).frames
    if suffix == "mkv":
        with_pixel_crop(path, top=10, bottom=4, left=16, right=8)
    else:
        with_aperture(path, 72, 50, 4, 3)
    lying = number == 6 and suffix != "mkv"
    left = whole[:, 16:88, 4:54] if lying else whole[:, 10:60, 16:88]
    np.testing.assert_array_equal(read_video(path).frames, left)
    info = probe(path)
    assert (info.height, info.width) == left.shape[1:3]


@pytest.mark.parametrize("numbers", [(0, 0, 0, 0), (960, 640, 0, 0), (72, 50, 90, 0)])
def test_a_clean_aperture_that_makes_no_sense_is_passed_over(tmp_path: Path, numbers: tuple[int, ...]) -> None:
    path = quarters(tmp_path / "a.mp4")
    whole = read_video(path).frames
    np.testing.assert_array_equal(read_video(with_aperture(path, *numbers)).frames, whole)


def test_a_part_of_a_recording_is_read_from_its_first_whole_picture(tmp_path: Path) -> None:
    """Cut out of a transport stream, the first pictures need others that are not there; no end is missing for that."""
    data = film(tmp_path / "a.ts", range(12)).read_bytes()
    assert levels(read_video(tmp_path / "a.ts").frames) == list(range(12))
    packets = [data[at : at + 188] for at in range(0, len(data), 188)]
    begins = [at for at, packet in enumerate(packets) if packet[1:3] == b"\x41\x00"]  # of pictures
    (tmp_path / "b.ts").write_bytes(b"".join([*packets[: begins[0]], *packets[begins[2] :]]))
    assert levels(read_video(tmp_path / "b.ts").frames) == list(range(5, 12))


def test_a_short_film_of_flash_is_whole(tmp_path: Path) -> None:
    path = film(tmp_path / "a.flv", range(6), b_frames=2)
    assert levels(read_video(path).frames) == list(range(6))


def test_interlaced_film_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        track = container.add_stream("libx264", rate=25, options={"x264-params": "interlaced=1"})
        track.height, track.width, track.pix_fmt = 64, 64, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
        container.mux([*track.encode(frame), *track.encode(None)])
    assert "interlaced" in " ".join(probe(path).warnings)
    assert not probe(film(tmp_path / "b.mp4", range(2))).warnings


def test_a_hole_in_a_film_is_said() -> None:
    even = np.arange(60) / 25
    (said,) = describe_gaps(np.delete(even, np.arange(20, 41)))
    assert "after 0.76 s none comes for 0.88 s" in said
    held = np.cumsum(np.random.default_rng(0).choice([0.03, 0.06, 0.25], 60))  # as of a screen recording
    for times in (even, even[::5] * 3, even[:1], held, np.delete(even, [7, 8])):
        assert describe_gaps(times) == ()


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_damaged_descriptions_cut_nothing_off(tmp_path: Path, suffix: str) -> None:
    data = np.frombuffer(quarters(tmp_path / f"a.{suffix}").read_bytes(), np.uint8)
    container = "mov,mp4,m4a,3gp,3g2,mj2" if suffix == "mp4" else "matroska,webm"
    nested = {"mp4": b"\0\0\xff\xffmoov" * 5000, "mkv": b"\x18\x53\x80\x67\x08\xff\xff\xff" * 5000}
    for case in range(300):
        generator = np.random.default_rng(case)
        damaged = data[: generator.integers(1, len(data))].copy()
        damaged[generator.integers(0, len(damaged), 20)] = generator.integers(0, 256, 20)
        (tmp_path / "b").write_bytes(damaged.tobytes() if case else nested[suffix])
        crop = read_crop(tmp_path / "b", container, 96, 64)
        assert crop == Crop() or crop.leaves_of(96, 64)
