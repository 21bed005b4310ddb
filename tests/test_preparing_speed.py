"""What makes preparing quick: frames shrunk as they are decoded and people and hands followed."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from edit_your_motion.people.finders.blazepose import DETECTOR_FRAMES, BlazePose
from edit_your_motion.people.finders.hands import HandReader
from edit_your_motion.video import Fit, fit_frame, read_video, write_video
from edit_your_motion.video.containers import iterate_container

CLIPS = Path(__file__).parents[2] / "shared" / "clips"


@pytest.fixture
def film(tmp_path: Path) -> Path:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (180, 320)).astype(np.uint8))
    smooth = noise.filter(ImageFilter.GaussianBlur(3)).convert("RGB")
    write_video(tmp_path / "film.mp4", np.asarray(smooth)[None], 30, crf=4)
    return tmp_path / "film.mp4"


@pytest.mark.parametrize("size", [(90, 160), (45, 80), (67, 119)])
def test_a_frame_is_shrunk_as_it_is_decoded(film: Path, size: tuple[int, int]) -> None:
    (frame,) = iterate_container(film, Fraction(0))
    assert frame.pixels(size).shape[:2] == size
    expected = fit_frame(read_video(film).frames[0], Fit(*size)).astype(float)
    apart = read_video(film, fit=Fit(*size)).frames[0] - expected
    assert abs(apart.mean()) < 1
    assert apart.std() < 0.75 < 0.25 * np.diff(expected, axis=1).std()  # two roundings, and no shift


@pytest.mark.parametrize("fit", [Fit(90, 90), Fit(90, 90, "pad"), Fit(360, 640)])
def test_what_is_cut_padded_or_enlarged_comes_whole(film: Path, fit: Fit) -> None:
    whole = read_video(film).frames[0]
    assert np.array_equal(read_video(film, fit=fit).frames[0], fit_frame(whole, fit))


@pytest.fixture(scope="module")
def juggler() -> np.ndarray:
    if not CLIPS.is_dir():
        pytest.skip("no clips of real people")
    return read_video(CLIPS / "juggle.mp4", start=2.7, frames=1).frames[0]


def test_people_and_hands_are_followed(
    people_models: None, juggler: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = BlazePose(hands=True)
    looks: list[int] = []
    look, search = HandReader._look, backend._search
    searched: list[float] = []
    monkeypatch.setattr(HandReader, "_look", lambda *given: looks.append(1) or look(*given))
    monkeypatch.setattr(backend, "_search", lambda *given: searched.append(given[1].side) or search(*given))
    frames = 2 * DETECTOR_FRAMES + 1
    people = [one for (one,) in backend.detect(np.stack([juggler] * frames))]
    assert searched.count(max(searched)) == 3
    assert len(looks) == 4 + 2 * (frames - 1)
    for one in people:
        assert one.hands is not None
        assert one.hands[:, 0, 2].all()
        sure = one.body[:, 2] > 0.5
        np.testing.assert_allclose(one.body[sure, :2], people[0].body[sure, :2], atol=0.02 * juggler.shape[0])


def test_who_is_elsewhere_all_at_once_is_found_there(people_models: None, juggler: np.ndarray) -> None:
    backend = BlazePose(hands=True)
    moved = np.roll(juggler, juggler.shape[1] // 4, axis=1)
    ((alone,),) = backend.detect(moved[None])
    _, (after,) = backend.detect(np.stack([juggler, moved]))
    sure = alone.body[:, 2] > 0.5
    np.testing.assert_allclose(after.body[sure, :2], alone.body[sure, :2], atol=0.02 * juggler.shape[0])
