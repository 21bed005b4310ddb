import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from edit_your_motion.errors import VideoError
from edit_your_motion.metrics import (
    FrameStream,
    l1,
    mean_absolute_error,
    psnr,
    psnr_wrapped_uint8,
    resize_frames,
    ssim,
    ssim_colour,
)
from edit_your_motion.metrics.structural import to_grey


def make_frames(seed: int, frames: int = 5, height: int = 40, width: int = 52) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (frames, height, width, 3), dtype=np.uint8)


def make_close_pair() -> tuple[np.ndarray, np.ndarray]:
    truth = make_frames(0)
    noise = np.random.default_rng(1).normal(0, 12, truth.shape)
    return np.clip(truth + noise, 0, 255).astype(np.uint8), truth


def test_mean_absolute_error_and_l1_equal_a_loop_over_pixels() -> None:
    generated, truth = (frames[:2, :9, :8] for frames in make_close_pair())
    for index in range(2):
        total = sum(
            abs(int(generated[index, row, column, channel]) - int(truth[index, row, column, channel]))
            for row in range(9)
            for column in range(8)
            for channel in range(3)
        )
        assert mean_absolute_error(generated, truth)[index] == pytest.approx(total / (9 * 8 * 3), rel=1e-14)
        assert l1(generated, truth)[index] == pytest.approx(total / (9 * 8 * 3) / (9 * 8), rel=1e-14)


@pytest.mark.parametrize(
    ("published", "side", "error"), [(3.13e-4, 256, 20.5), (2.81e-5, 512, 7.4), (2.81e-5, 256, 1.8)]
)
def test_l1_of_published_tables_as_mean_absolute_error(published: float, side: int, error: float) -> None:
    truth = np.zeros((1, side, side, 3), np.uint8)
    generated = truth.copy()
    generated.reshape(-1)[: round(generated.size * error / 100)] = 100  # mean absolute error: `error`
    assert l1(generated, truth)[0] == pytest.approx(published, rel=0.03)


def test_l1_quadruples_when_the_same_pictures_are_half_as_large() -> None:
    small = make_frames(0, 2, 16, 20), make_frames(1, 2, 16, 20)
    large = tuple(frames.repeat(2, axis=1).repeat(2, axis=2) for frames in small)
    np.testing.assert_allclose(l1(*small), 4 * l1(*large), rtol=1e-13)
    np.testing.assert_allclose(mean_absolute_error(*small), mean_absolute_error(*large), rtol=1e-13)


def test_psnr_equals_scikit_image() -> None:
    generated, truth = make_close_pair()
    expected = [peak_signal_noise_ratio(y, x, data_range=255) for x, y in zip(generated, truth, strict=True)]
    np.testing.assert_allclose(psnr(generated, truth), expected, rtol=1e-12)


def test_psnr_of_equal_frames_is_infinite() -> None:
    assert np.isposinf(psnr(make_frames(0), make_frames(0))).all()


def test_wrapped_psnr_equals_arithmetic_modulo_256_and_gives_unrelated_pictures_28_decibels() -> None:
    generated, truth = make_frames(0, 2, 128, 128), make_frames(1, 2, 128, 128)
    wrapped = ((generated.astype(int) - truth.astype(int)) ** 2 % 256).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(psnr_wrapped_uint8(generated, truth), 10 * np.log10(255**2 / wrapped), rtol=1e-12)
    assert psnr_wrapped_uint8(generated, truth).mean() == pytest.approx(28, abs=0.3)
    assert psnr(generated, truth).mean() == pytest.approx(10 * np.log10(255**2 / (256**2 / 6)), abs=0.05)


def test_ssim_equals_scikit_image_with_its_defaults() -> None:
    generated, truth = make_close_pair()
    pairs = list(zip(generated, truth, strict=True))
    grey = [structural_similarity(to_grey(x[None])[0], to_grey(y[None])[0], data_range=255) for x, y in pairs]
    colour = [structural_similarity(x, y, data_range=255, channel_axis=-1) for x, y in pairs]
    np.testing.assert_allclose(ssim(generated, truth), grey, rtol=1e-10)
    np.testing.assert_allclose(ssim_colour(generated, truth), colour, rtol=1e-10)


def test_ssim_of_equal_frames_is_one() -> None:
    np.testing.assert_allclose(ssim(make_frames(0), make_frames(0)), 1, rtol=1e-12)


def test_grey_is_the_rounded_luma_of_bt_601() -> None:
    frames = make_frames(0)
    luma = frames @ np.array([0.299, 0.587, 0.114])
    assert np.abs(to_grey(frames) - luma).max() < 0.505
    primaries = np.array([[[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]]], np.uint8)
    assert to_grey(primaries).tolist() == [[[76, 150, 29, 255]]]


@pytest.mark.parametrize("metric", [l1, mean_absolute_error, psnr, psnr_wrapped_uint8, ssim, ssim_colour])
def test_batches_of_any_size_give_the_same_values_and_order(metric) -> None:
    generated, truth = make_frames(0, 37, 12, 12), make_frames(1, 37, 12, 12)
    whole = metric(generated, truth)
    streamed = metric(np.split(generated, [3, 4, 20]), FrameStream(lambda: (frame[None] for frame in truth)))
    assert whole.shape == (37,)
    np.testing.assert_array_equal(whole, streamed)


def test_streams_are_never_held_whole() -> None:
    alive, most = [0], [0]

    class Counted(np.ndarray):
        def __del__(self) -> None:
            alive[0] -= 1

    def stream():
        for index in range(200):
            frame = np.full((1, 16, 16, 3), index % 256, np.uint8).view(Counted)
            alive[0] += 1
            most[0] = max(most[0], alive[0])
            yield frame
            del frame

    values = mean_absolute_error(stream(), np.zeros((200, 16, 16, 3), np.uint8))
    np.testing.assert_array_equal(values, np.arange(200) % 256)
    assert most[0] < 100  # frames and their slices; the video alone is 200


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (np.zeros((4, 40, 52, 3), np.uint8), "same length"),
        (np.zeros((5, 40, 50, 3), np.uint8), "52x40 and 50x40"),
        (np.zeros((5, 40, 52, 3), np.float32), "uint8 .*got float32"),
        (np.zeros((5, 40, 52, 4), np.uint8), r"got uint8 \(5, 40, 52, 4\)"),
        ([np.zeros((2, 40, 52, 3), np.uint8), np.zeros((3, 20, 52, 3), np.uint8)], "one resolution"),
        ([], "same length"),
    ],
)
def test_videos_that_do_not_fit_give_one_clear_error(other, message: str) -> None:
    with pytest.raises(VideoError, match=message):
        mean_absolute_error(make_frames(0), other)


def test_ssim_refuses_frames_smaller_than_its_window() -> None:
    with pytest.raises(VideoError, match="at least 7x7 pixels, got 6x40"):
        ssim(make_frames(0, 1, 40, 6), make_frames(1, 1, 40, 6))


def test_no_frames_at_all_are_an_error() -> None:
    with pytest.raises(VideoError, match="at least one frame"):
        psnr([], [])


def test_resized_frames_can_be_read_twice_and_keep_a_flat_picture() -> None:
    flat = np.full((3, 20, 30, 3), (10, 120, 250), np.uint8)
    resized = resize_frames(flat, 33, 17)
    for _ in range(2):
        frames = np.concatenate(list(resized))
        assert frames.shape == (3, 33, 17, 3)
        assert (frames == (10, 120, 250)).all()
