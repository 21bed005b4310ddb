"""Pictures on the way of an edit: losses of its tuning, previews of its sampling."""

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from edit_your_motion.config import ApplyConfig, parse_config
from edit_your_motion.jobs import previews
from edit_your_motion.jobs.loss_curves import HEIGHT, WIDTH, draw_losses, running_mean
from edit_your_motion.jobs.session import run_apply, run_edit
from edit_your_motion.runtime.progress import SilentProgress
from edit_your_motion.video import probe, read_video
from synthetic_clip import film, short_edit, write_clip


def test_each_stage_has_a_panel_and_its_line_falls_with_its_losses() -> None:
    falling, rising = np.geomspace(1, 0.01, 200), np.geomspace(0.01, 1, 200)
    picture = draw_losses(dict(enumerate([*falling.tolist(), *rising.tolist()], 1)), [200, 0, 200])
    assert picture.shape == (HEIGHT, 2 * WIDTH, 3)
    line = (picture == (0, 114, 178)).all(axis=-1)
    for panel, sign in ((line[:, :WIDTH], 1), (line[:, WIDTH:], -1)):
        columns = np.flatnonzero(panel.any(axis=0))
        heights = np.array([np.flatnonzero(panel[:, column]).mean() for column in columns])
        assert len(columns) > 300
        assert np.corrcoef(columns, sign * heights)[0, 1] > 0.99


@pytest.mark.parametrize("losses", [[], [0.3], [0.2] * 9, [0.1, float("nan"), 0.4, float("inf")], [0.0, 0.0]])
def test_whatever_the_losses_are_there_is_a_picture(losses: list[float]) -> None:
    picture = draw_losses(dict(enumerate(losses, 1)), [len(losses)])
    assert picture.shape == (HEIGHT, WIDTH, 3)
    assert (picture != 255).any() == bool(losses)


def test_what_is_to_come_has_its_place_and_the_past_may_be_missing() -> None:
    picture = draw_losses({7: 0.5, 8: 0.4, 12: 0.3, 13: 0.2}, [10, 10])
    line = (picture == (0, 114, 178)).all(axis=-1)
    first, second = (np.flatnonzero(line[:, at : at + WIDTH].any(axis=0)) for at in (0, WIDTH))
    assert first.min() > WIDTH / 2 > second.max()
    assert draw_losses({}, [10, 10]).shape == (HEIGHT, 2 * WIDTH, 3)


def test_the_mean_runs_along_a_line_as_the_line() -> None:
    losses = np.linspace(3, 1, 101)
    np.testing.assert_allclose(running_mean(losses)[5:-5], losses[5:-5])


def add_tone(path: Path) -> None:
    """Gives a clip a second of sound."""
    film = read_video(path)
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("libx264", rate=film.fps, options={"crf": "0"})
        pictures.height, pictures.width, pictures.pix_fmt = *film.frames.shape[1:3], "yuv444p"
        sound = container.add_stream("aac", rate=44100, layout="mono")
        for frame in film.frames:
            container.mux(pictures.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        wave = np.sin(np.arange(44100) / 20).astype(np.float32)[None]
        piece = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
        piece.sample_rate = 44100
        container.mux(sound.encode(piece))
        container.mux(pictures.encode())
        container.mux(sound.encode())


def test_previews_and_sound_go_along_and_change_nothing(
    checkpoints: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "clip").mkdir()
    clip = write_clip(tmp_path / "clip", film(2))
    add_tone(clip.video)
    written: list[tuple[str, tuple[int, ...]]] = []
    real = previews.write_picture

    def write(path: Path, picture: np.ndarray) -> None:
        written.append((path.name, picture.shape))
        real(path, picture)

    monkeypatch.setattr(previews, "write_picture", write)
    config = short_edit(checkpoints, clip, clip, sampling={"steps": 5, "preview_every": 2},
                        video={"frames": 2, "size": "64", "sound": True, "sound_of": "source"})  # fmt: skip
    seen = run_edit(config, tmp_path / "edit", SilentProgress())
    assert written == [(previews.PREVIEW, (64, 64, 3))] * 2
    for name, size in ((previews.PREVIEW, (64, 64)), ("person/losses.png", (2 * WIDTH, HEIGHT))):
        with Image.open(seen.folder / name) as picture:
            assert picture.size == size
    assert probe(seen.folder / "edited.mp4").has_audio
    moved = clip.video.rename(tmp_path / "moved.mp4")
    applying = parse_config(
        ApplyConfig, config.for_applying().model_dump(), {"sampling": {"preview_every": 0}, "reference": str(moved)}
    )
    plain = run_apply(seen.folder / "person", applying, tmp_path / "plain", SilentProgress())
    np.testing.assert_array_equal(plain.edit.frames, seen.edit.frames)
    assert len(written) == 2
    assert not probe(tmp_path / "plain" / "edited.mp4").has_audio
    assert "the edit has no sound" in caplog.text
