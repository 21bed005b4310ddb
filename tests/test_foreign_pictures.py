"""Pictures as cameras, phones and editors write them: every mode, profile and orientation."""

import io
import struct
import zlib
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import UInt8
from PIL import Image, ImageCms, PngImagePlugin

from edit_your_motion.errors import OutOfMemoryError, VideoError
from edit_your_motion.people.formats.precomputed import load_ready_masks
from edit_your_motion.video import probe, read_video
from edit_your_motion.video.colours import Colours
from edit_your_motion.video.picture_colours import to_srgb
from foreign_files import (
    CASES,
    ORIENTATIONS,
    PRIMARIES,
    QUARTERS,
    chart,
    coded,
    farthest,
    inside,
    needs_cases,
    patches,
    xyz,
)
from form_damage import without

RAMP = np.tile(np.arange(256, dtype=np.uint8), (16, 1))
GREY16 = (RAMP.astype(np.uint16) * 257).astype("<u2")


def shown(path: Path) -> UInt8[np.ndarray, "h w 3"]:
    return read_video(path).frames[0]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".avif"])
@pytest.mark.parametrize("number", ORIENTATIONS)
def test_all_orientations(tmp_path: Path, suffix: str, number: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = number
    path = tmp_path / f"a{suffix}"
    Image.fromarray(QUARTERS).save(path, exif=exif, quality=95)
    expected = ORIENTATIONS[number][1](QUARTERS)
    assert shown(path).shape == expected.shape == (probe(path).height, probe(path).width, 3)
    assert np.abs(shown(path).astype(int) - expected).mean() < 6


@needs_cases
def test_a_picture_in_tiles() -> None:
    info = probe(CASES / "grid.avif")
    assert (info.width, info.height, info.frames) == (256, 256, 1)
    assert shown(CASES / "grid.avif").shape == (256, 256, 3)


@needs_cases
def test_sixteen_bits_of_grey() -> None:
    levels = shown(CASES / "g16.png")[32, :, 0].astype(int)
    assert np.abs(np.diff(levels)).max() <= 1
    assert (levels[0], levels[-1]) == (0, 255)


def raw_tiff(path: Path, values: bytes, bits: int, tags: dict[int, int]) -> Path:
    """An uncompressed grey TIFF of 256x16 with these further tags."""
    entries = {256: 256, 257: 16, 258: bits, 259: 1, 262: 1, 273: 8, 277: 1, 278: 16, 279: len(values)} | tags
    ifd = struct.pack("<H", len(entries))
    for tag in sorted(entries):
        ifd += struct.pack("<HHII", tag, 4 if tag in (273, 279) else 3, 1, entries[tag])
    path.write_bytes(b"II*\0" + struct.pack("<I", 8 + len(values)) + values + ifd + b"\0\0\0\0")
    return path


TWELVE_BITS = np.packbits(
    np.unpackbits(np.rint(RAMP * (4095 / 255)).astype(">u2").view(np.uint8).reshape(-1, 2), axis=1)[:, 4:]
)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.png", lambda path: Image.fromarray(GREY16).save(path)),
        ("a.tif", lambda path: Image.fromarray(GREY16).save(path)),
        ("big-endian.tif", lambda path: Image.fromarray(GREY16.astype(">u2")).save(path)),
        ("12bits.tif", lambda path: raw_tiff(path, TWELVE_BITS.tobytes(), 12, {})),
        ("white-is-zero.tif", lambda path: raw_tiff(path, (65535 - GREY16).tobytes(), 16, {262: 0})),
        ("8bits-white-is-zero.tif", lambda path: raw_tiff(path, (255 - RAMP).tobytes(), 8, {262: 0})),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_deep_grey_keeps_its_brightness(tmp_path: Path, name: str, write: Callable[[Path], object]) -> None:
    write(tmp_path / name)
    assert np.abs(shown(tmp_path / name).astype(int) - RAMP[..., None]).max() <= 1


def deep_png(path: Path, colour_type: int, values: np.ndarray) -> Path:
    """A PNG of 16 bits a channel, written by hand: Pillow writes none with colours."""
    height, width = values.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return png(path, struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0), rows)


def png(path: Path, header: bytes, rows: bytes, extra: tuple[tuple[bytes, bytes], ...] = ()) -> Path:
    chunks = ((b"IHDR", header), *extra, (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    written = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    ]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(written))
    return path


def rgb_png(path: Path, pixels: UInt8[np.ndarray, "h w 3"], *extra: tuple[bytes, bytes]) -> Path:
    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 8, 2, 0, 0, 0)
    return png(path, header, b"".join(b"\0" + row.tobytes() for row in pixels), extra)


@pytest.mark.parametrize(("colour_type", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_png_of_sixteen_bits(tmp_path: Path, colour_type: int, channels: int) -> None:
    values = np.repeat(GREY16[..., None], channels, axis=-1)
    if channels in (2, 4):
        values[..., -1] = 65535
    deep_png(tmp_path / "a.png", colour_type, values)
    assert np.abs(shown(tmp_path / "a.png").astype(int) - RAMP[..., None]).max() <= 1


COLOUR = Image.fromarray(chart())
PILLOW = int(version("pillow").split(".")[0])


@pytest.mark.parametrize(
    ("mode", "suffix", "bound"),
    [
        ("RGB", ".png", 0),
        ("RGBA", ".png", 0),
        ("RGBA", ".tif", 0),
        ("RGBX", ".tif", 0),
        ("P", ".png", 0),
        ("P", ".gif", 0),
        ("CMYK", ".tif", 1),
        ("CMYK", ".jpg", 6),
        pytest.param("YCbCr", ".tif", 2, marks=pytest.mark.skipif(PILLOW < 13, reason="Pillow reads them from 13 on")),
        ("YCbCr", ".jpg", 6),
        ("LAB", ".tif", 10),  # eight bits of LAB are coarse in dark colours
    ],
)
def test_every_mode_with_colours(tmp_path: Path, mode: str, suffix: str, bound: int) -> None:
    path = tmp_path / f"a{suffix}"
    if mode == "LAB":
        into = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
        picture = ImageCms.applyTransform(COLOUR, into)
    else:
        picture = COLOUR.quantize(16) if mode == "P" else COLOUR.convert(mode)
    picture.save(path, quality=100)
    assert farthest(shown(path)) <= bound


def test_modes_that_no_file_of_ours_has() -> None:
    """What a decoder may hand over: premultiplied colours, palettes with alpha."""
    half = np.dstack([chart(), np.full(chart().shape[:2], 128, np.uint8)])
    expected = np.rint(chart() * (128 / 255))
    premultiplied = Image.fromarray(half, "RGBA").convert("RGBa")
    palette = COLOUR.quantize(16).convert("PA")
    palette.putalpha(128)
    for picture, exact in ((premultiplied, expected), (palette, expected)):
        assert np.abs(to_srgb(picture, Colours()).astype(int) - exact).max() <= 2
    grey = Image.merge("LA", (Image.fromarray(RAMP), Image.new("L", (256, 16), 128))).convert("La")
    assert np.abs(to_srgb(grey, Colours())[..., 0].astype(int) - RAMP * (128 / 255)).max() <= 2
    assert farthest(to_srgb(COLOUR.convert("HSV"), Colours())) <= 4


@pytest.mark.parametrize("mode", ["1", "L", "LA"])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_every_mode_of_grey(tmp_path: Path, mode: str, suffix: str) -> None:
    Image.fromarray(RAMP).convert(mode, dither=Image.Dither.NONE).save(tmp_path / f"a{suffix}")
    expected = (RAMP >= 128) * 255 if mode == "1" else RAMP
    np.testing.assert_array_equal(shown(tmp_path / f"a{suffix}"), np.repeat(expected[..., None], 3, axis=-1))


@pytest.mark.parametrize(("mode", "dtype"), [("F", np.float32), ("I", np.int32)])
def test_numbers_without_a_white_are_named(tmp_path: Path, mode: str, dtype: type) -> None:
    Image.fromarray(RAMP.astype(dtype)).save(tmp_path / "a.tif")
    with pytest.raises(VideoError, match=rf"a\.tif.*mode {mode}\).*save it with 8 or 16 bits"):
        read_video(tmp_path / "a.tif")


def test_a_kind_of_picture_that_is_not_read_is_named(tmp_path: Path) -> None:
    raw_tiff(tmp_path / "a.tif", np.zeros((16, 256, 2), np.float32).tobytes(), 32, {277: 2, 339: 3})
    for call in (probe, read_video):
        with pytest.raises(VideoError, match=r"a\.tif is a TIFF picture .* of a kind that is not read"):
            call(tmp_path / "a.tif")


@pytest.mark.parametrize(
    "kind", ["RGBA", "LA", "P bytes", "P index", "RGB key", "L key", "I;16 key", "GIF", "WEBP", "AVIF", "APNG"]
)
def test_what_is_transparent_is_black(tmp_path: Path, kind: str) -> None:
    """The left half is transparent over a bright colour, the right half opaque."""
    pixels = np.full((32, 64, 4), (200, 220, 240, 255), np.uint8)
    pixels[:, :32] = (250, 240, 230, 0)
    picture, path = Image.fromarray(pixels), tmp_path / f"a.{kind.lower() if kind.isupper() else 'png'}"
    options: dict[str, object] = {}
    if kind in ("RGBA", "LA"):
        path, picture = tmp_path / "a.png", picture.convert(kind)
    elif kind.startswith("P"):
        picture = Image.fromarray(np.tile(np.repeat([0, 1], 32).astype(np.uint8), (32, 1)), "P")
        picture.putpalette([250, 240, 230, 200, 220, 240])
        options["transparency"] = bytes([0, 255]) if kind == "P bytes" else 0
    elif kind == "RGB key":
        picture, options["transparency"] = picture.convert("RGB"), (250, 240, 230)
    elif kind == "L key":
        picture, options["transparency"] = Image.fromarray(pixels[..., 0]), 250
    elif kind == "I;16 key":
        picture, options["transparency"] = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257), 250 * 257
    elif kind in ("WEBP", "AVIF"):
        options["quality"] = 100
    elif kind == "APNG":
        path, options = tmp_path / "a.png", {"save_all": True, "append_images": [picture.copy()]}
    picture.save(path, **options)
    frame = shown(path)
    assert frame[:, :30].max() <= 3
    assert frame[:, 34:].min() > 150


def profile(name: str) -> bytes:
    """An ICC profile with the primaries of Display P3 or of BT.2020 and sRGB's curve."""
    columns = xyz(PRIMARIES[name][1])
    cones = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    d50, d65 = cones @ [0.9642, 1, 0.8249], cones @ [0.3127 / 0.329, 1, 0.3583 / 0.329]
    columns = np.linalg.inv(cones) @ np.diag(d50 / d65) @ cones @ columns

    def fixed(*values: float) -> bytes:
        return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))

    curve = b"para\0\0\0\0" + struct.pack(">HH", 3, 0) + fixed(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    text = b"desc\0\0\0\0" + struct.pack(">I", len(name) + 1) + name.encode() + b"\0" * (1 + 79)
    tags = {b"desc": text, b"wtpt": b"XYZ \0\0\0\0" + fixed(0.9642, 1, 0.8249)}
    for index, letter in enumerate(b"rgb"):
        tags[bytes([letter]) + b"XYZ"] = b"XYZ \0\0\0\0" + fixed(*columns[:, index])
        tags[bytes([letter]) + b"TRC"] = curve
    table, data = struct.pack(">I", len(tags)), b""
    for key, value in tags.items():
        table += key + struct.pack(">II", 128 + 4 + 12 * len(tags) + len(data), len(value))
        data += value + b"\0" * (-len(value) % 4)
    head = struct.pack(">I4sI4s4s4s", 128 + len(table) + len(data), b"lcms", 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    head = (head + b"\0" * 12 + b"acsp").ljust(68, b"\0") + fixed(0.9642, 1, 0.8249)
    return head.ljust(128, b"\0") + table + data


def in_primaries(name: str) -> UInt8[np.ndarray, "h w 3"]:
    """The chart with sRGB's curve in other primaries."""
    exact = chart() / 255
    light = np.where(exact <= 0.04045, exact / 12.92, ((exact + 0.055) / 1.055) ** 2.4)
    mixed = np.clip(light @ (np.linalg.inv(xyz(PRIMARIES[name][1])) @ xyz(PRIMARIES["bt709"][1])).T, 0, 1)
    signal = np.where(mixed <= 0.0031308, mixed * 12.92, 1.055 * mixed ** (1 / 2.4) - 0.055)
    return np.rint(signal * 255).astype(np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".avif"])
@pytest.mark.parametrize("primaries", ["display-p3", "bt2020"])
def test_profiles_are_applied(tmp_path: Path, primaries: str, suffix: str) -> None:
    content = profile(primaries)
    ImageCms.getOpenProfile(io.BytesIO(content))
    path = tmp_path / f"a{suffix}"
    Image.fromarray(in_primaries(primaries)).save(path, icc_profile=content, quality=100, subsampling="4:4:4")
    assert farthest(in_primaries(primaries)) > 8
    assert farthest(shown(path)) <= (10 if suffix == ".avif" else 5)  # AVIF loses a level or two of the signal


def test_profiles_of_transparent_and_palette_pictures(tmp_path: Path) -> None:
    picture, content = Image.fromarray(in_primaries("display-p3")), profile("display-p3")
    picture.quantize(16).save(tmp_path / "p.png", icc_profile=content)
    picture.convert("RGBA").save(tmp_path / "rgba.png", icc_profile=content)
    for name in ("p.png", "rgba.png"):
        assert farthest(shown(tmp_path / name)) <= 4


def test_a_damaged_profile_is_passed_over(tmp_path: Path) -> None:
    for name, content in {"cut": profile("display-p3")[:200], "none": b"no profile"}.items():
        COLOUR.save(tmp_path / f"{name}.png", icc_profile=content)
        assert farthest(shown(tmp_path / f"{name}.png")) == 0


def test_gamma_of_a_png(tmp_path: Path) -> None:
    light = np.where(chart() / 255 <= 0.04045, chart() / 255 / 12.92, ((chart() / 255 + 0.055) / 1.055) ** 2.4)
    rgb_png(tmp_path / "a.png", np.rint(light * 255).astype(np.uint8), (b"gAMA", struct.pack(">I", 100000)))
    assert farthest(shown(tmp_path / "a.png")) <= 6
    rgb_png(tmp_path / "b.png", chart(), (b"gAMA", struct.pack(">I", 45455)))
    assert farthest(shown(tmp_path / "b.png")) == 0


@pytest.mark.parametrize("transfer", [(16, "pq"), (18, "hlg")])
def test_hdr_pictures(tmp_path: Path, transfer: tuple[int, str]) -> None:
    """HDR screenshots: PNG says so in a chunk of its own, AVIF in its header."""
    number, name = transfer
    signal = np.rint(coded(chart(), "bt2020", name) * 255).astype(np.uint8)
    rgb_png(tmp_path / "a.png", signal, (b"cICP", bytes([9, number, 0, 1])))
    assert "HDR" in probe(tmp_path / "a.png").warnings[0]
    # Coded for a screen of BT.1886 and shown by sRGB, which differ in the shadows; eight bits of signal are coarse.
    light = (inside(chart(), "bt2020") / 255) ** 2.4
    expected = np.rint((1.055 * light ** (1 / 2.4) - 0.055).clip(0) * 255).astype(np.uint8)
    bright = patches(expected).min(axis=-1) > 100
    off = np.abs(patches(shown(tmp_path / "a.png")).astype(int) - patches(expected))
    assert off[bright].max() <= 4
    assert off.max() <= 16
    Image.fromarray(signal).save(tmp_path / "a.avif", quality=100, subsampling="4:4:4")
    content = (tmp_path / "a.avif").read_bytes()
    at = content.index(b"colrnclx") + 8
    (tmp_path / "a.avif").write_bytes(content[:at] + struct.pack(">HH", 9, number) + content[at + 4 :])
    off = np.abs(patches(shown(tmp_path / "a.avif")).astype(int) - patches(expected))
    assert off[bright].max() <= 6  # the codec loses a level or two of the signal


def save(folder: Path, *names: str, size: tuple[int, int] = (32, 32)) -> None:
    folder.mkdir(exist_ok=True)
    for index, name in enumerate(names):
        Image.new("RGB", size, (index * 20,) * 3).save(folder / name)


@pytest.mark.parametrize(
    "names",
    [
        ("1.png", "1_mask.png", "2.png", "2_mask.png"),
        ("frame_0001.jpg", "frame_0001_mask.jpg"),
        ("00000.png", "00000.mask.png"),
        ("0.png", "0_depth.png"),
        ("0.png", "0-pose.png"),
        ("frame_1.png", "depth_1.png"),
        ("me.png", "me_mask.png"),
        ("me.png", "mask-me.png"),
        ("f1.png", "f1_depth16.png", "f2.png"),
        ("1.png", "2.png", "1.jpg"),
        ("img1.png", "img01.png"),
        ("left_1.png", "right_1.png"),
    ],
    ids=" ".join,
)
def test_frames_and_what_goes_with_them_are_not_one_clip(tmp_path: Path, names: tuple[str, ...]) -> None:
    save(tmp_path, *names)
    for call in (probe, read_video):
        with pytest.raises(VideoError, match=r"belong to one frame\. Leave the frames alone .*--people\.masks"):
            call(tmp_path)


@pytest.mark.parametrize(
    "names",
    [
        ("1_mask.png", "2_mask.png", "10_mask.png"),
        ("scene2_0001_v2.png", "scene2_0002_v2.png"),
        ("IMG_1.png", "IMG_1 (1).png", "IMG_1 (2).png"),
        ("a.png", "b.png"),
        ("take1_1.png", "take1_2.png", "take2_1.png"),
    ],
    ids=" ".join,
)
def test_frames_of_one_clip(tmp_path: Path, names: tuple[str, ...]) -> None:
    save(tmp_path, *names)
    (tmp_path / "Thumbs.db").write_bytes(b"no picture")
    (tmp_path / ".DS_Store").write_bytes(b"no picture")
    (tmp_path / "._1.png").write_bytes(b"no picture")
    (tmp_path / "7.png").mkdir()
    assert len(read_video(tmp_path).frames) == len(names)


def test_missing_frames_are_said(tmp_path: Path) -> None:
    save(tmp_path / "gap", "f001.png", "f002.png", "f003.png", "f007.png", "f008.png")
    assert probe(tmp_path / "gap").warnings == (
        "frames are missing: f003.png is followed by f007.png, where the clip will jump",
    )
    save(tmp_path / "even", "f001.png", "f003.png", "f005.png", "f007.png")
    assert probe(tmp_path / "even").warnings == ()


def test_indices_without_their_palette_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(QUARTERS).convert("P").save(path)
    path.write_bytes(without(path.read_bytes(), ".png", b"PLTE"))
    for read in (read_video, load_ready_masks):
        with pytest.raises(VideoError, match="palette is missing"):
            read(path)


def test_a_picture_that_asks_for_too_much_memory_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(QUARTERS).save(path := tmp_path / "a.png")

    def fail(image: Image.Image) -> None:
        raise MemoryError

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", fail)
    with pytest.raises(OutOfMemoryError, match=r"a\.png"):
        read_video(path)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".avif", ".gif"])
def test_damaged_bytes_are_one_clear_line(tmp_path: Path, suffix: str) -> None:
    rng, path, exif = np.random.default_rng(0), tmp_path / f"a{suffix}", Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(QUARTERS).save(path, exif=exif)
    whole = np.frombuffer(path.read_bytes(), np.uint8)
    for _ in range(40):
        content = whole.copy()
        content[rng.integers(len(content), size=rng.integers(1, 12))] = rng.integers(256)
        path.write_bytes(content.tobytes())
        said = ""
        try:
            read_video(path)
        except VideoError as error:
            said = str(error)
        assert "\n" not in said


def test_animated_avif(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (64, 64), (40 * index + 20,) * 3) for index in range(5)]
    frames[0].save(tmp_path / "a.avif", save_all=True, append_images=frames[1:], duration=100, quality=100)
    video = read_video(tmp_path / "a.avif")
    assert [round((int(frame.mean()) - 20) / 40) for frame in video.frames] == list(range(5))
    assert video.fps == 10


@pytest.mark.parametrize("suffix", [".avif", ".tif", ".webp", ".bmp"])
@pytest.mark.parametrize("share", [0.1, 0.6])
def test_truncated(tmp_path: Path, suffix: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8)
    path = tmp_path / f"a{suffix}"
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(VideoError, match=r"breaks off|damaged"):
        read_video(path)


def test_the_picture_before_an_animation_is_no_frame(tmp_path: Path) -> None:
    """APNG may begin with one for those who know no animations."""
    hidden, *shown = (Image.new("RGB", (16, 16), (level, 0, 0)) for level in (250, 100, 200))
    hidden.save(tmp_path / "a.png", save_all=True, append_images=shown, default_image=True, duration=100)
    assert read_video(tmp_path / "a.png").frames[:, 0, 0, 0].tolist() == [100, 200]
    assert probe(tmp_path / "a.png").frames == 2


@pytest.mark.parametrize(("second", "said"), [((16, 16), True), ((4, 4), False)], ids=["clip", "preview"])
def test_pages_of_a_tiff_are_said(tmp_path: Path, second: tuple[int, int], said: bool) -> None:
    Image.new("L", (16, 16)).save(tmp_path / "a.tif", save_all=True, append_images=[Image.new("L", second)])
    assert len(read_video(tmp_path / "a.tif").frames) == 1
    assert ("of 2 pages the first is read" in " ".join(probe(tmp_path / "a.tif").warnings)) == said
