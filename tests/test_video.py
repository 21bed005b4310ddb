"""Reading, fitting and writing clips, on small files made here with PyAV and Pillow."""

import errno
import os
import platform
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from jaxtyping import Float32, UInt8
from PIL import Image

from edit_your_motion.errors import ConfigError, DiskFullError, InputError, VideoError
from edit_your_motion.video import (
    Fit,
    Video,
    fit_frame,
    fit_transform,
    parse_size,
    probe,
    read_video,
    reading,
    repeat_frames,
    write_video,
)

HEIGHT, WIDTH = 64, 96
SUFFIXES = (".mp4", ".mkv", ".avi", ".ts")  # the last one starts its clock at 1.4 s


def numbered(count: int, height: int = HEIGHT, width: int = WIDTH) -> UInt8[np.ndarray, "f h w 3"]:
    """Grey frames, each five steps brighter than the one before: the grey tells which frame it is."""
    levels = np.arange(count, dtype=np.uint8)[:, None, None, None] * 5 + 10
    return np.broadcast_to(levels, (count, height, width, 3)).copy()


def numbers(frames: UInt8[np.ndarray, "f h w 3"]) -> list[int]:
    return [round((float(frame.mean()) - 10) / 5) for frame in frames]


def scene(count: int = 8, height: int = HEIGHT, width: int = WIDTH) -> UInt8[np.ndarray, "f h w 3"]:
    """Smooth, colourful and moving, so that a channel, a row or a frame in the wrong place costs dearly."""
    y, x = np.mgrid[0:height, 0:width]
    frames = [
        np.stack([x / width * 255, y / height * 255, 127 + 100 * np.sin(x / 9 + index / 2)], axis=-1)
        for index in range(count)
    ]
    return np.asarray(frames).clip(0, 255).astype(np.uint8)


def quarters(height: int = HEIGHT, width: int = WIDTH) -> UInt8[np.ndarray, "h w 3"]:
    """Upper left red, upper right green, lower left blue, lower right white."""
    frame = np.zeros((height, width, 3), np.uint8)
    frame[: height // 2, : width // 2] = (220, 30, 30)
    frame[: height // 2, width // 2 :] = (30, 200, 30)
    frame[height // 2 :, : width // 2] = (30, 30, 220)
    frame[height // 2 :, width // 2 :] = (230, 230, 230)
    return frame


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    error = np.mean((one.astype(np.float64) - other.astype(np.float64)) ** 2)
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def tone(seconds: float, rate: int = 44100, hertz: float = 440.0) -> Float32[np.ndarray, "1 samples"]:
    """Silent for the first second, a sine from then on."""
    time = np.arange(int(seconds * rate)) / rate
    return (0.5 * np.sin(2 * np.pi * hertz * time) * (time >= 1)).astype(np.float32)[None]


def encode(
    path: Path,
    frames: UInt8[np.ndarray, "f h w 3"],
    times: Iterable[int] | None = None,
    *,
    rate: Fraction = Fraction(10),
    clock: Fraction | None = None,
    codec: str = "libx264",
    sound: Float32[np.ndarray, "1 samples"] | None = None,
    prepare: Callable[[av.VideoStream], None] = lambda stream: None,
) -> Path:
    """A file written by PyAV alone, frame i at `times[i]` ticks of `clock`."""
    clock = clock or 1 / rate
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], "yuv420p"
        stream.codec_context.time_base = clock
        prepare(stream)
        track = container.add_stream("aac", rate=44100, layout="mono") if sound is not None else None
        for pixels, time in zip(frames, times or range(len(frames)), strict=True):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = time, clock
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if track is not None:
            piece = av.AudioFrame.from_ndarray(sound, format="flt", layout="mono")
            piece.sample_rate, piece.pts, piece.time_base = 44100, 0, Fraction(1, 44100)
            container.mux(track.encode(piece))
            container.mux(track.encode(None))
    return path


def heard(path: Path) -> tuple[Float32[np.ndarray, " samples"], int]:
    with av.open(str(path)) as container:
        track = container.streams.audio[0]
        return np.concatenate([frame.to_ndarray()[0] for frame in container.decode(track)]), track.rate


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 numbered frames, 10 a second, four seconds of sound, a key frame every 15 frames; beside it other formats."""
    folder = tmp_path_factory.mktemp("clip")
    for suffix in SUFFIXES:
        encode(
            folder / f"clip{suffix}",
            numbered(40),
            sound=tone(4),
            prepare=lambda stream: setattr(stream.codec_context, "gop_size", 15),
        )
    return folder / "clip.mp4"


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "sub/folder/odd name: 1.mp4"])
def test_a_video_survives_writing_and_reading(tmp_path: Path, name: str) -> None:
    frames = scene()
    write_video(tmp_path / name, frames, 25)
    video = read_video(tmp_path / name)
    assert video.frames.shape == frames.shape
    assert all(psnr(*pair) > 33 for pair in zip(frames, video.frames, strict=True))
    assert video.fps == 25
    assert video.duration == pytest.approx(8 / 25)


@pytest.mark.parametrize("height", [64, 720], ids=["SD", "HD"])
def test_colours_keep_their_place(tmp_path: Path, height: int) -> None:
    frame = quarters(height, height)
    write_video(tmp_path / "a.mp4", np.stack([frame] * 2), 25, crf=1)
    read = read_video(tmp_path / "a.mp4").frames[0]
    middle = slice(height // 8, height // 4)
    assert np.abs(read[middle, middle].astype(int) - frame[middle, middle]).max() <= 3
    assert np.abs(read[-middle.stop : -middle.start, middle].astype(int) - (30, 30, 220)).max() <= 3


def test_written_files_play_in_browsers(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", scene(), Fraction(30000, 1001))
    with av.open(str(tmp_path / "a.mp4")) as container:
        codec = container.streams.video[0].codec_context
        assert (codec.name, codec.pix_fmt, codec.colorspace) == ("h264", "yuv420p", 1)
        assert container.streams.video[0].average_rate == Fraction(30000, 1001)
    content = (tmp_path / "a.mp4").read_bytes()
    assert 0 < content.index(b"moov") < content.index(b"mdat")


@pytest.mark.parametrize("fps", [Fraction(24000, 1001), Fraction(25, 2), 60, 29.97])
def test_the_rate_is_exact(tmp_path: Path, fps: float | int | Fraction) -> None:
    write_video(tmp_path / "a.mp4", scene(), fps)
    expected = Fraction(2997, 100) if fps == 29.97 else Fraction(fps)
    assert probe(tmp_path / "a.mp4").fps == expected
    assert read_video(tmp_path / "a.mp4").fps == expected


def test_odd_sides_grow_by_one_repeated_pixel(tmp_path: Path) -> None:
    frames = scene(3, 63, 95)
    write_video(tmp_path / "a.mp4", frames, 10, crf=1)
    video = read_video(tmp_path / "a.mp4")
    assert video.frames.shape == (3, 64, 96, 3)
    assert psnr(video.frames[:, :63, :95], frames) > 30


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({}, range(40)),
        ({"frames": 3}, [0, 1, 2]),
        ({"stride": 7}, range(0, 40, 7)),
        ({"start": 1.72, "frames": 2}, [17, 18]),
        ({"start": 3.0, "stride": 4}, [30, 34, 38]),
        ({"fps": 5}, range(0, 40, 2)),
        ({"fps": 5, "stride": 3, "frames": 4}, [0, 6, 12, 18]),
        ({"fps": 20, "start": 0.5, "frames": 6}, [5, 5, 6, 6, 7, 7]),
        ({"fps": 2.5, "start": 1.6}, [16, 20, 24, 28, 32, 36]),
    ],
    ids=str,
)
def test_frames_are_chosen_by_time(clip: Path, choice: dict[str, float], expected: Iterable[int]) -> None:
    video = read_video(clip, **choice)
    assert numbers(video.frames) == list(expected)
    assert video.fps == Fraction(choice.get("fps", 10)) / choice.get("stride", 1)
    assert video.start == pytest.approx(choice.get("start", 0), abs=0.051)


@pytest.mark.parametrize(("rate", "fps", "step"), [(30, 10, 3), (60, 15, 4), (25, 12.5, 2)])
def test_lowering_the_rate_takes_frames_at_even_steps(tmp_path: Path, rate: int, fps: float | int, step: int) -> None:
    path = encode(tmp_path / "a.mp4", numbered(40), rate=Fraction(rate))
    video = read_video(path, fps=fps, start=4 / rate)
    assert numbers(video.frames)[:10] == list(range(4, 40, step))[:10]
    assert video.duration == pytest.approx(36 / rate, abs=0.5 / fps)


@pytest.mark.parametrize(("rate", "fps"), [(30, 30), (25, 30), (24, 60), (10, 24)])
def test_raising_the_rate_equals_ffmpegs_filter(tmp_path: Path, rate: int, fps: int) -> None:
    path = encode(tmp_path / "a.mp4", numbered(40), rate=Fraction(rate))
    with av.open(str(path)) as container:
        stream, graph = container.streams.video[0], av.filter.Graph()
        graph.link_nodes(
            graph.add_buffer(template=stream), graph.add("fps", f"fps={fps}"), graph.add("buffersink")
        ).configure()
        expected = []
        for frame in [*container.decode(stream), None]:
            graph.push(frame)
            while True:
                try:
                    expected.append(graph.pull().to_ndarray(format="rgb24"))
                except (av.error.BlockingIOError, av.error.EOFError):
                    break
    assert numbers(read_video(path, fps=fps).frames) == numbers(np.stack(expected))


def test_variable_frame_rate(tmp_path: Path) -> None:
    times = [0, 100, 200, 1000, 1040, 1080, 1120, 2000]
    path = encode(tmp_path / "a.mkv", numbered(8), times, rate=Fraction(1000), clock=Fraction(1, 1000))
    even = read_video(path, fps=10, frames=20)
    assert numbers(even.frames) == [0, 1] + [2] * 8 + [3, 5] + [6] * 8
    assert even.fps == 10
    whole = read_video(path)
    assert numbers(whole.frames) == list(range(8))
    assert float(whole.fps) == pytest.approx(7 / 2.0, rel=1e-3)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_late_start_equals_reading_everything(clip: Path, suffix: str) -> None:
    path = clip.with_suffix(suffix)
    whole = read_video(path).frames
    assert numbers(whole) == list(range(40))
    for first in (1, 14, 15, 16, 29, 39):
        video = read_video(path, start=first / 10)
        np.testing.assert_array_equal(video.frames, whole[first:])
        assert video.start == pytest.approx(first / 10)


@pytest.mark.skipif(not hasattr(av.VideoStream, "set_display_rotation"), reason="this PyAV cannot write the flag")
@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_rotation_flags_are_applied(tmp_path: Path, turns: int) -> None:
    """The flag says by how many degrees counter-clockwise a player turns the picture."""
    path = encode(
        tmp_path / "a.mp4",
        np.stack([quarters()] * 3),
        prepare=lambda stream: stream.set_display_rotation(90 * turns),
    )
    expected = np.rot90(quarters(), turns)
    video, info = read_video(path), probe(path)
    assert video.frames.shape[1:] == expected.shape
    assert (info.height, info.width) == expected.shape[:2]
    assert psnr(video.frames[1], expected) > 20


def test_pixels_become_square(tmp_path: Path) -> None:
    def widen(stream: av.VideoStream) -> None:
        stream.codec_context.sample_aspect_ratio = Fraction(3, 2)

    path = encode(tmp_path / "a.mp4", np.stack([quarters()] * 3), prepare=widen)
    assert read_video(path).frames.shape[1:3] == (HEIGHT, WIDTH * 3 // 2)
    assert (probe(path).height, probe(path).width) == (HEIGHT, WIDTH * 3 // 2)


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_animated_pictures(tmp_path: Path, suffix: str) -> None:
    frames = scene(7)
    path = tmp_path / f"a{suffix}"
    write_video(path, frames, 15)
    video = read_video(path)
    assert video.frames.shape == frames.shape
    assert all(psnr(*pair) > 26 for pair in zip(frames, video.frames, strict=True))
    assert video.fps == 15
    assert probe(path).frames == 7
    assert numbers_nearest(read_video(path, fps=5).frames, frames) == [0, 3, 6]


def numbers_nearest(some: UInt8[np.ndarray, "some h w 3"], among: UInt8[np.ndarray, "f h w 3"]) -> list[int]:
    return [int(np.argmax([psnr(frame, candidate) for candidate in among])) for frame in some]


@pytest.mark.parametrize(("suffix", "fps"), [(".gif", 40), (".gif", 50), (".webp", 60), (".webp", 90)])
def test_fast_animated_pictures(tmp_path: Path, suffix: str, fps: int) -> None:
    write_video(tmp_path / f"a{suffix}", scene(20), fps)
    assert read_video(tmp_path / f"a{suffix}").fps == pytest.approx(fps, rel=0.03)
    with pytest.raises(ConfigError, match=r"write \.mp4"):
        write_video(tmp_path / f"b{suffix}", scene(), 100)


ENCODE = """
import sys
from hashlib import sha256
from pathlib import Path
import numpy as np
from edit_your_motion.video import write_video
draws = np.random.default_rng(0)
for side in (64, 96, 128):
    blocks = draws.integers(0, 256, (12, side // 8, side // 8, 3), dtype=np.uint8)
    frames = blocks.repeat(8, axis=1).repeat(8, axis=2)
    frames[1:] = frames[1:] // 4 + frames[:-1] // 2
    write_video(path := Path(sys.argv[1]) / f"{side}.mp4", frames, 8)
    print(sha256(path.read_bytes()).hexdigest())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="MALLOC_PERTURB_ is glibc's")
def test_a_file_does_not_depend_on_what_fresh_memory_holds(tmp_path: Path) -> None:
    """x264's macroblock tree does: with it, both small sizes come out differently."""
    found = set()
    for filling in ("0", "85", "170"):
        environment = {**os.environ, "MALLOC_PERTURB_": filling}
        command = [sys.executable, "-c", ENCODE, str(tmp_path)]
        found.add(subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout)
    assert len(found) == 1
    assert len(found.pop().split()) == 3


def test_a_folder_survives_writing_and_reading(tmp_path: Path) -> None:
    frames = scene(12)
    write_video(tmp_path / "frames", frames, 30)
    video = read_video(tmp_path / "frames", fps=12)
    np.testing.assert_array_equal(video.frames, frames)
    assert video.fps == 12
    assert read_video(tmp_path / "frames").fps == 30
    assert probe(tmp_path / "frames").frames == 12


def test_folders_are_read_in_natural_order(tmp_path: Path) -> None:
    for index, frame in enumerate(numbered(12)):
        Image.fromarray(frame).save(tmp_path / f"frame{index}.png")
    (tmp_path / ".frame3.png").write_bytes(b"a hidden file is no frame")
    (tmp_path / "notes.txt").write_text("nor is this")
    assert numbers(read_video(tmp_path, start=1 / 30, stride=3).frames) == [1, 4, 7, 10]


@pytest.mark.parametrize(("suffix", "bound"), [(".png", np.inf), (".jpg", 25), (".webp", 25), (".bmp", np.inf)])
def test_a_picture_is_one_frame(tmp_path: Path, suffix: str, bound: float) -> None:
    frame = scene(1)[0]
    Image.fromarray(frame).save(tmp_path / f"a{suffix}", quality=90)
    video = read_video(tmp_path / f"a{suffix}")
    assert video.frames.shape == (1, HEIGHT, WIDTH, 3)
    assert psnr(video.frames[0], frame) >= bound
    still = repeat_frames(video, 5)
    assert still.frames.shape[0] == 5
    assert (still.frames == video.frames).all()
    assert still.fps == 30
    with pytest.raises(ConfigError, match="repeat 0 times"):
        repeat_frames(video, 0)
    with pytest.raises(ConfigError, match="5 frames"):
        repeat_frames(still, 2)


@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (3, 2), (6, 3), (8, 1)])
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int, turns: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(quarters()).save(tmp_path / "a.jpg", exif=exif, quality=95, subsampling=0)
    expected = np.rot90(quarters(), turns)
    assert psnr(read_video(tmp_path / "a.jpg").frames[0], expected) > 30
    assert (probe(tmp_path / "a.jpg").height, probe(tmp_path / "a.jpg").width) == expected.shape[:2]


def test_what_is_transparent_becomes_black(tmp_path: Path) -> None:
    pixels = np.dstack([quarters(), np.full((HEIGHT, WIDTH), 255, np.uint8)])
    pixels[:, : WIDTH // 2, 3] = 0
    Image.fromarray(pixels).save(tmp_path / "a.png")
    frame = read_video(tmp_path / "a.png").frames[0]
    assert not frame[:, : WIDTH // 2].any()
    np.testing.assert_array_equal(frame[:, WIDTH // 2 :], quarters()[:, WIDTH // 2 :])


def test_progress_counts_every_frame(clip: Path, tmp_path: Path) -> None:
    read: list[int] = []
    written: list[int] = []
    video = read_video(clip, frames=4, on_frame=read.append)
    write_video(tmp_path / "a.mp4", video.frames, video.fps, on_frame=written.append)
    assert read == written == [1, 2, 3, 4]


def test_a_codec_is_known_by_more_than_its_letters(tmp_path: Path) -> None:
    path = tmp_path / "a.mov"
    with av.open(path, "w") as container:
        stream = container.add_stream("mpeg4", 8)
        stream.height, stream.width = 32, 48
        for shade in (10, 90):
            picture = np.full((32, 48, 3), shade, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    path.write_bytes(path.read_bytes().replace(b"mp4v", b"mp\xff\xff"))
    assert probe(path).frames == 2
    assert len(read_video(path).frames) == 2


def test_probe(clip: Path) -> None:
    info = probe(clip)
    assert (info.frames, info.fps, info.width, info.height, info.has_audio) == (40, 10, WIDTH, HEIGHT, True)
    assert info.duration == pytest.approx(4)


@pytest.mark.parametrize(
    ("suffix", "begin"), [(".mp4", 0.0), (".mp4", 0.5), (".mp4", 2.0), (".mkv", 0.5), (".ts", 0.0), (".ts", 0.5)]
)
def test_sound_goes_along(clip: Path, tmp_path: Path, suffix: str, begin: float) -> None:
    """The source is silent for its first second: where the sound starts tells where it was cut."""
    video = read_video(clip.with_suffix(suffix), start=begin, frames=20)
    write_video(tmp_path / "a.mp4", video.frames, video.fps, sound=video)
    samples, rate = heard(tmp_path / "a.mp4")
    assert len(samples) / rate == pytest.approx(2, abs=0.05)
    loud = np.abs(samples) > 0.05
    assert np.argmax(loud) / rate == pytest.approx(max(0, 1 - begin), abs=0.03)
    tail = samples[-rate // 2 : -rate // 10]
    assert np.sqrt(np.mean(tail**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)
    spectrum = np.abs(np.fft.rfft(tail * np.hanning(len(tail))))
    assert np.argmax(spectrum) * rate / len(tail) == pytest.approx(440, abs=3)


def test_stereo_of_an_unusual_rate(tmp_path: Path) -> None:
    """Left and right keep their tones on the way from 22.05 kHz to a rate that AAC has."""
    time = np.arange(22050) / 22050
    both = np.stack([np.sin(2 * np.pi * hertz * time) for hertz in (300, 900)]) * 0.5
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        track = container.add_stream("pcm_s16le", rate=22050, layout="stereo")
        samples = np.ascontiguousarray((both.T * 32767).astype(np.int16).reshape(1, -1))
        piece = av.AudioFrame.from_ndarray(samples, format="s16", layout="stereo")
        piece.sample_rate = 22050
        for pixels in scene(10):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux([*stream.encode(None), *track.encode(piece), *track.encode(None)])
    video = read_video(tmp_path / "a.mkv")
    write_video(tmp_path / "b.mp4", video.frames, video.fps, sound=video)
    with av.open(str(tmp_path / "b.mp4")) as container:
        track = container.streams.audio[0]
        pieces = np.concatenate([frame.to_ndarray() for frame in container.decode(track)], axis=1)
        spectra = np.abs(np.fft.rfft(pieces[:, 4800:43200] * np.hanning(38400)))
        np.testing.assert_allclose(spectra.argmax(axis=1) * track.rate / 38400, [300, 900], atol=3)
    assert track.rate == 48000


def test_sound_ends_in_silence_where_the_source_has_no_more(clip: Path, tmp_path: Path) -> None:
    video = read_video(clip, start=3, frames=10)
    write_video(tmp_path / "a.mkv", np.repeat(video.frames, 3, axis=0), video.fps, sound=video)
    samples, rate = heard(tmp_path / "a.mkv")
    assert len(samples) / rate == pytest.approx(3, abs=0.05)
    assert np.abs(samples[: int(0.9 * rate)]).max() > 0.3
    assert np.abs(samples[int(1.1 * rate) : int(2.9 * rate)]).max() < 0.01


def test_a_source_without_sound_gives_none(tmp_path: Path) -> None:
    write_video(tmp_path / "silent.mp4", scene(), 10)
    write_video(tmp_path / "frames", scene(), 10)
    for source in ("silent.mp4", "frames", "frames/frame00000.png"):
        video = read_video(tmp_path / source)
        write_video(tmp_path / "a.mp4", video.frames, video.fps, sound=video)
        assert not probe(tmp_path / "a.mp4").has_audio


def test_real_clips(clips: Path, tmp_path: Path) -> None:
    path = clips / "tai-chi.mp4"
    info = probe(path)
    assert (info.frames, info.fps, info.width, info.height, info.has_audio) == (317, 30, 1080, 1080, True)
    video = read_video(path, start=2, frames=12, stride=2, fit=Fit(128, 128))
    assert (video.frames.shape, video.fps, video.start) == ((12, 128, 128, 3), 15, 2.0)
    write_video(tmp_path / "a.mp4", video.frames, video.fps, sound=video)
    samples, rate = heard(tmp_path / "a.mp4")
    assert len(samples) / rate == pytest.approx(video.duration, abs=0.05)
    assert probe(clips / "basketball.mp4").fps == 60
    assert probe(clips / "juggle.mp4").fps == 24


@pytest.mark.parametrize("how", ["crop", "pad"])
@pytest.mark.parametrize("place", [(0.5, 0.5), (0.45, 0.6)])
@pytest.mark.parametrize("size", [(64, 64), (48, 120), (200, 90), (33, 47)])
def test_fitting_moves_places_as_it_says(how: str, size: tuple[int, int], place: tuple[float, float]) -> None:
    """The centre of a bright square is found where the transform puts it."""
    frame = np.zeros((90, 160, 3), np.uint8)
    frame[40:50, 70:82] = 255
    fit = Fit(*size, how=how, place=place)
    fitted = fit_frame(frame, fit)
    assert fitted.shape == (*size, 3)
    scale, offset = fit_transform(90, 160, fit)
    assert scale[0] == pytest.approx(scale[1], rel=0.05)
    weight = fitted[..., 0].astype(np.float64)
    y, x = np.mgrid[0 : size[0], 0 : size[1]] + 0.5
    found = np.array([(x * weight).sum(), (y * weight).sum()]) / weight.sum()
    np.testing.assert_allclose(found, np.array([76.0, 45.0]) * scale + offset, atol=0.15)


def test_fitting_crops_to_the_middle_or_pads_with_black() -> None:
    frame = np.full((100, 200, 3), 200, np.uint8)
    frame[:, :50] = frame[:, 150:] = 0
    assert (fit_frame(frame, Fit(100, 100)) == 200).all()
    padded = fit_frame(frame, Fit(100, 100, "pad"))
    assert not padded[:25].any()
    assert not padded[75:].any()
    assert (padded[30:70, 30:70] == 200).all()
    np.testing.assert_array_equal(fit_frame(frame, Fit(100, 200, "pad")), frame)


def test_shrinking_does_not_alias() -> None:
    stripes = np.zeros((64, 512, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.abs(fit_frame(stripes, Fit(8, 64)).astype(int)[:, 2:-2] - 127).max() <= 3


def test_reading_fits_each_frame(clip: Path) -> None:
    fit = Fit(32, 32, "pad")
    whole = read_video(clip, frames=3).frames
    np.testing.assert_array_equal(
        read_video(clip, frames=3, fit=fit).frames, np.stack([fit_frame(frame, fit) for frame in whole])
    )


@pytest.mark.parametrize(
    ("text", "native", "expected"),
    [
        ("512", (1080, 1920), (512, 512)),
        ("768x512", (1080, 1920), (512, 768)),
        (" 500 X 270 ", (1, 1), (256, 512)),
        ("10", (1, 1), (64, 64)),
        ("544", (1, 1), (576, 576)),
        ("auto", (1080, 1080), (512, 512)),
        ("auto", (1080, 1920), (384, 704)),
        ("AUTO", (1920, 1080), (704, 384)),
    ],
)
def test_sizes(text: str, native: tuple[int, int], expected: tuple[int, int]) -> None:
    assert parse_size(text, native, 64, 512 * 512) == expected


@pytest.mark.parametrize(
    ("side", "shape", "expected", "kept"),
    [
        (128, (2, 3), (128, 192), 1),
        (128, (3, 4), (128, 192), 0.88),
        (128, (4, 5), (128, 192), 0.83),
        (128, (9, 16), (128, 256), 0.88),
        (128, (9, 21), (128, 256), 0.85),
        (128, (1, 1), (128, 128), 1),
        (512, (2, 3), (384, 576), 1),
        (512, (3, 4), (384, 512), 1),
        (512, (4, 5), (512, 640), 1),
        (512, (9, 16), (384, 704), 0.96),
        (512, (9, 21), (384, 896), 1),
        (512, (1, 1), (512, 512), 1),
    ],
)
def test_the_automatic_size_keeps_the_picture(
    side: int, shape: tuple[int, int], expected: tuple[int, int], kept: float
) -> None:
    """Width and height of photos and films, upright and lying: no size at about that area keeps much more."""
    width, height = (100 * each for each in shape)
    portrait = parse_size("auto", (height, width), 64, side * side)
    assert portrait[::-1] == expected
    assert parse_size("auto", (width, height), 64, side * side) == portrait[::-1]
    ratio = portrait[0] / portrait[1] / (height / width)
    assert min(ratio, 1 / ratio) >= kept
    assert 0.5 <= portrait[0] * portrait[1] / side**2 <= 2


def test_a_crop_keeps_the_part_that_it_is_told() -> None:
    frame = np.zeros((100, 200, 3), np.uint8)
    frame[:, 100:] = 200
    assert not fit_frame(frame, Fit(100, 100, place=(0.0, 0.5))).any()
    assert (fit_frame(frame, Fit(100, 100, place=(1.0, 0.5))) == 200).all()
    with pytest.raises(ConfigError, match="place"):
        Fit(100, 100, place=(1.5, 0.0))


@pytest.mark.parametrize("text", ["", "big", "0", "512x0", "-512", "512x512x3", "5.5", "99999", "1e3", "512 768"])
def test_nonsense_for_a_size(text: str) -> None:
    with pytest.raises(ConfigError, match="size"):
        parse_size(text, (10, 10), 64, 512 * 512)


@pytest.mark.parametrize("fields", [(0, 5), (5, 20000), (5, 5, "stretch")])
def test_nonsense_for_a_fit(fields: tuple[int, ...]) -> None:
    # Without the run-time type check, which a user's installation does not have either.
    code = f"from edit_your_motion.video import Fit; Fit(*{fields!r})"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ConfigError" in result.stderr


@pytest.mark.parametrize(
    "choice",
    [{"start": -1}, {"start": float("nan")}, {"frames": 0}, {"stride": 0}, {"fps": 0}, {"fps": 1e9}, {"minimum": 0}],
    ids=str,
)
def test_nonsense_for_a_choice(clip: Path, choice: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=r"expected|rate"):
        read_video(clip, **choice)


def test_too_few_frames(clip: Path) -> None:
    with pytest.raises(VideoError, match=r"has 40 frames .* expected 41: lower the number of frames"):
        read_video(clip, frames=41)
    with pytest.raises(VideoError, match="has 10 frames from 3 s on with stride 1, expected 11"):
        read_video(clip, start=3, frames=11)
    with pytest.raises(VideoError, match=r"has 8 frames .* at 4 frames per second, expected 9"):
        read_video(clip, fps=4, stride=2, minimum=9)
    with pytest.raises(VideoError, match=r"no frames from 4.2 s on \(it lasts 4.00 s\): lower the start"):
        read_video(clip, start=4.2)


def test_a_missing_file(tmp_path: Path) -> None:
    for call in (probe, read_video):
        with pytest.raises(VideoError, match="does not exist"):
            call(tmp_path / "none.mp4")
        with pytest.raises(VideoError, match=r"expected a video, .*, got .*[Nn]ame too long"):
            call(Path("x" * 5000))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("text.mp4", b"this is not a video\n" * 50),
        ("text.txt", b"FFmpeg would draw this as a picture\n" * 50),
        ("empty.mp4", b""),
        ("list.m3u8", b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nclip.mp4\n#EXT-X-ENDLIST\n"),
        ("list.ffconcat", b"ffconcat version 1.0\nfile clip.mp4\n"),
    ],
)
def test_no_video(tmp_path: Path, clip: Path, name: str, content: bytes) -> None:
    (tmp_path / "clip.mp4").write_bytes(clip.read_bytes())
    (tmp_path / name).write_bytes(content)
    for call in (probe, read_video):
        with pytest.raises(VideoError, match="no video that can be read"):
            call(tmp_path / name)


def test_sound_alone(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.wav"), "w") as container:
        track = container.add_stream("pcm_s16le", rate=44100, layout="mono")
        piece = av.AudioFrame.from_ndarray((tone(1) * 3e4).astype(np.int16), format="s16", layout="mono")
        piece.sample_rate = 44100
        container.mux([*track.encode(piece), *track.encode(None)])
    with pytest.raises(VideoError, match="only sound"):
        read_video(tmp_path / "a.wav")


@pytest.fixture
def truncated(tmp_path: Path) -> Path:
    """The first half of a file that begins with its index, as an aborted download leaves it."""
    noise = np.random.default_rng(0).integers(0, 255, (40, HEIGHT, WIDTH, 3), dtype=np.uint8)
    write_video(tmp_path / "whole.mp4", noise, 10)
    content = (tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "half.mp4").write_bytes(content[: len(content) // 2])
    return tmp_path / "half.mp4"


def test_a_truncated_video(truncated: Path) -> None:
    with pytest.raises(VideoError, match=r"breaks off: \d+ frames, up to .* of 4.00 s, could be read"):
        read_video(truncated)
    assert len(read_video(truncated, frames=8).frames) == 8
    no_index = truncated.with_name("no-index.mp4")
    encode(no_index, scene())
    no_index.write_bytes(no_index.read_bytes()[:-400])
    with pytest.raises(VideoError, match="its end is missing"):
        read_video(no_index)


@pytest.mark.parametrize("suffix", [".mkv", ".gif", ".webp"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_other_truncated_clips(tmp_path: Path, suffix: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (20, HEIGHT, WIDTH, 3), dtype=np.uint8)
    path = tmp_path / f"a{suffix}"
    write_video(path, noise, 10)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(VideoError, match="breaks off"):
        read_video(path)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".gif"])
def test_a_truncated_picture(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    Image.fromarray(scene(1)[0]).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(VideoError, match="breaks off"):
        read_video(path)


def test_bad_folders(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="holds no pictures"):
        read_video(tmp_path)
    Image.fromarray(quarters(20, 30)).save(tmp_path / "1.png")
    Image.fromarray(quarters(30, 20)).save(tmp_path / "2.png")
    with pytest.raises(VideoError, match=r"1\.png is 30x20, 2\.png 20x30"):
        read_video(tmp_path)
    (tmp_path / "2.png").write_bytes(b"no picture")
    with pytest.raises(VideoError, match=r"2\.png is named like a picture and is none"):
        read_video(tmp_path)


@pytest.mark.parametrize("size", [(30000, 2), (20000, 20000)])
def test_absurd_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    """A header is enough to claim any size; none of it may be allocated."""
    Image.new("1", (2, 2)).save(tmp_path / "a.png")
    content = bytearray((tmp_path / "a.png").read_bytes())
    content[16:24] = size[0].to_bytes(4, "big") + size[1].to_bytes(4, "big")
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(VideoError, match=r"at most 16384|absurdly large"):
        read_video(tmp_path / "a.png")


def test_a_clip_that_would_fill_the_memory(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LARGEST_CLIP", 5 * HEIGHT * WIDTH * 3)
    assert len(read_video(clip, frames=5).frames) == 5
    with pytest.raises(VideoError, match="ask for fewer frames, a larger stride or a smaller size"):
        read_video(clip)


@pytest.mark.parametrize("name", ["a.mp4", "a.gif", "a.webp", "frames"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_nothing_half_written_remains(tmp_path: Path, name: str, code: int) -> None:
    """A failure in the middle, here from the callback, leaves the folder as it was."""

    def fail(count: int) -> None:
        if count == 3:
            raise OSError(code, "as the system says it")

    if name != "frames":
        (tmp_path / name).write_bytes(b"the result of an earlier run")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(DiskFullError if code == errno.ENOSPC else InputError, match=name):
        write_video(tmp_path / name, scene(), 10, on_frame=fail)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_an_interruption_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_video(tmp_path / "a.mp4", scene(), 10, on_frame=interrupt)
    assert not list(tmp_path.iterdir())


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot be written"):
        write_video(tmp_path / "file" / "a.mp4", scene(), 10)
    write_video(tmp_path / "frames", scene(), 10)
    with pytest.raises(ConfigError, match="exists already"):
        write_video(tmp_path / "frames", scene(), 10)
    with pytest.raises(ConfigError, match=r"\.mp4"):
        write_video(tmp_path / "a.txt", scene(), 10)
    (tmp_path / "new").mkdir()
    write_video(tmp_path / "new", scene(3), 10)
    assert len(list((tmp_path / "new").iterdir())) == 3


@pytest.mark.parametrize(("count", "fps", "crf"), [(0, 10, 18), (2, 0, 18), (2, float("inf"), 18), (2, 10, 52)])
def test_nonsense_to_write(tmp_path: Path, count: int, fps: float | int, crf: int) -> None:
    with pytest.raises(ConfigError, match="at least one frame"):
        write_video(tmp_path / "a.mp4", scene(2)[:count], fps, crf=crf)


def test_a_clip_remembers_where_it_comes_from(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(clip.parent)
    video = read_video(clip.name, frames=1)
    assert isinstance(video, Video)
    assert video.source == clip
