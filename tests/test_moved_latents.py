"""A person moved part by part: its looks where the new skeleton is, and the place where it was."""

import numpy as np
import pytest
import torch

from edit_your_motion.people.keypoints import Keypoints
from edit_your_motion.sampling.moved_latents import move_person

pytestmark = pytest.mark.law

SIDE, CELLS = 128, 16
PLACE, CHEST, LEG = -1.0, 2.0, 5.0


def figure(x: float, frames: int = 1) -> Keypoints:
    """Upright, facing the camera: neck at 40, hips at 72, ankles at 120."""
    body = np.zeros((frames, 18, 3), np.float32)
    for joint, (across, down) in {
        1: (0, 40),
        8: (-6, 72),
        9: (-6, 96),
        10: (-6, 120),
        11: (6, 72),
        12: (6, 96),
        13: (6, 120),
    }.items():
        body[:, joint] = (x + across, down, 1)
    return Keypoints(body=body, height=SIDE, width=SIDE)


def source(x: int, frames: int = 1) -> tuple[torch.Tensor, np.ndarray, Keypoints]:
    """Latents, masks and keypoints of somebody whose chest and legs differ."""
    masks = np.zeros((frames, SIDE, SIDE), bool)
    masks[:, 32:128, x - 16 : x + 16] = True
    latents = torch.full((1, frames, 2, CELLS, CELLS), PLACE)
    latents[..., 4:9, (x - 16) // 8 : (x + 16) // 8] = CHEST
    latents[..., 9:, (x - 16) // 8 : (x + 16) // 8] = LEG
    return latents, masks, figure(x, frames)


def test_the_parts_go_where_the_skeleton_is_and_the_place_comes_back() -> None:
    moved = move_person(*source(32), figure(96))[0, 0, 0]
    assert (moved[:, 2:6] == PLACE).all(), "where the person was"
    assert (moved[:, :2] == PLACE).all()
    np.testing.assert_allclose(moved[6:8, 11:13], CHEST, atol=0.6)
    np.testing.assert_allclose(moved[11:14, 11:13], LEG, atol=0.6)
    assert (moved[:, 7:9] == PLACE).all()


def test_it_is_as_broad_as_it_was() -> None:
    there = (move_person(*source(32), figure(96))[0, 0, 0] - PLACE).abs() > 1
    assert 3 <= float(there[10:14].sum(dim=1).float().mean()) <= 5


def test_a_part_that_one_frame_hides_is_known_from_the_others() -> None:
    latents, masks, keypoints = source(32, frames=2)
    keypoints.body[1, [9, 10, 12, 13], 2] = 0
    moved = move_person(latents, masks, keypoints, figure(96, frames=2))
    torch.testing.assert_close(moved[0, 1], moved[0, 0])


def test_nobody_to_move_changes_nothing() -> None:
    latents, masks, keypoints = source(32)
    assert torch.equal(move_person(latents, np.zeros_like(masks), keypoints, figure(96)), latents)
    keypoints.body[..., 2] = 0
    assert torch.equal(move_person(latents, masks, keypoints, figure(96)), latents)


def test_a_frame_without_a_new_skeleton_is_an_empty_place() -> None:
    nobody = figure(96)
    nobody.body[..., 2] = 0
    assert (move_person(*source(32), nobody) == PLACE).all()
