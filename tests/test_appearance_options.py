"""What keeps the look beyond the paper, in whole edits: a tuned decoder, and the source's own background."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from edit_your_motion.compositing.clean_plate import Plate
from edit_your_motion.config import ApplyConfig, SamplingConfig, TuneConfig, parse_config
from edit_your_motion.diffusion.ddim import signal_levels
from edit_your_motion.edit import apply_motion, tune_person
from edit_your_motion.errors import CheckpointError
from edit_your_motion.models.backbone import Backbone
from edit_your_motion.person import Person, load_person
from edit_your_motion.person_folder import DECODER
from edit_your_motion.runtime.progress import SilentProgress
from edit_your_motion.sampling.fresh_noise import FreshPerson
from edit_your_motion.sampling.kept_background import people_cells
from edit_your_motion.sampling.moved_latents import move_person
from synthetic_clip import film, short_tune, write_clip

pytestmark = pytest.mark.law

SHORT = ApplyConfig(sampling=SamplingConfig(steps=2))


@pytest.fixture(scope="module")
def made(checkpoints: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Backbone, Person]:
    """A base, and a person whose decoder was tuned on it."""
    clip = write_clip(tmp_path_factory.mktemp("source"), film(2))
    decoder = {"tuning": {"decoder": {"iterations": 4, "learning_rate": 1e-2}}}
    config = parse_config(TuneConfig, short_tune(checkpoints, clip).model_dump(), decoder)
    backbone = Backbone.load(config.model, config.runtime)
    return backbone, tune_person(backbone, clip.prepared, config, SilentProgress())


def perform(made: tuple[Backbone, Person], person: Person, background: str = "generated", **sampling) -> np.ndarray:
    config = parse_config(ApplyConfig, SHORT.model_dump(), {"sampling": {"background": background, **sampling}})
    return apply_motion(made[0], person, film(3, speed=4.0), config, SilentProgress()).frames


def test_a_tuned_decoder_belongs_to_its_person_alone(made: tuple[Backbone, Person], tmp_path: Path) -> None:
    backbone, person = made
    before = {name: value.clone() for name, value in backbone.base.vae.state_dict().items()}
    with_decoder = perform(made, person)
    after = backbone.base.vae.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    plain = Person(**{**vars(person), "decoder": {}})
    assert (with_decoder != perform(made, plain)).any()
    person.save(tmp_path / "person")
    np.testing.assert_array_equal(perform(made, load_person(tmp_path / "person")), with_decoder)


def test_a_lost_decoder_is_missed(made: tuple[Backbone, Person], tmp_path: Path) -> None:
    made[1].save(tmp_path / "person")
    (tmp_path / "person" / DECODER).unlink()
    with pytest.raises(CheckpointError, match="decoder"):
        load_person(tmp_path / "person")


def test_the_source_s_background_can_stay(made: tuple[Backbone, Person]) -> None:
    person = made[1]
    generated, kept = perform(made, person), perform(made, person, "source")
    source = person.source.video.frames[[0, 1, 0]]
    corners = np.s_[:, :2, :2]
    np.testing.assert_array_equal(kept[corners], source[corners])
    assert (generated[corners] != source[corners]).any()
    middle = person.source.masks[[0, 1, 0]]
    np.testing.assert_array_equal(kept[middle], generated[middle])


def test_the_person_can_lie_over_the_clean_plate(made: tuple[Backbone, Person]) -> None:
    person = made[1]
    laid = perform(made, person, "plate")
    source = person.source.with_plate().take(np.array([0, 1, 0]))
    corners = np.s_[:, :2, :2]
    np.testing.assert_array_equal(laid[corners], source.video.frames[corners])
    again = perform(made, replace(person, source=person.source.with_plate()), "plate")
    np.testing.assert_array_equal(again, laid, err_msg="the plate of the person is the one that is made of its source")
    painted = replace(person.source, plate=Plate(np.full((1, 64, 64, 3), 200, np.uint8)))
    other = perform(made, replace(person, source=painted), "plate")
    assert (other != laid).any(), "a corrected plate is what is laid under"


def test_the_plate_can_be_inverted_in_the_source_s_place(checkpoints: Path, tmp_path: Path) -> None:
    clip = write_clip(tmp_path, film(2))
    config = parse_config(TuneConfig, short_tune(checkpoints, clip).model_dump(), {"inversion": {"of": "plate"}})
    backbone = Backbone.load(config.model, config.runtime)
    of_plate = tune_person(backbone, clip.prepared, config, SilentProgress())
    plain = config.model_copy(update={"inversion": config.inversion.model_copy(update={"of": "source"})})
    of_source = tune_person(backbone, clip.prepared, plain, SilentProgress())
    assert torch.equal(of_plate.latents, of_source.latents), "the source's own latents stay"
    assert not torch.equal(of_plate.noise, of_source.noise)
    of_plate.save(tmp_path / "person")
    loaded = load_person(tmp_path / "person")
    assert loaded.source.plate is not None
    np.testing.assert_array_equal(loaded.source.plate.places, of_plate.source.plate.places)
    starts = [
        perform((backbone, loaded), loaded, "plate", steps=4, person_noise=noise, person_held=0.5)
        for noise in ("inverted", "fresh", "moved")
    ]
    assert (starts[0] != starts[1]).any()
    assert (starts[1] != starts[2]).any()
    corners = np.s_[:, :2, :2]
    for frames in starts:
        np.testing.assert_array_equal(frames[corners], loaded.source.video.frames[[0, 1, 0]][corners])


def test_the_person_can_start_from_fresh_noise_and_from_its_moved_colours(made: tuple[Backbone, Person]) -> None:
    person = made[1]
    results = [
        perform(made, person, **sampling)
        for sampling in (
            {"steps": 4},
            {"steps": 4, "person_noise": "fresh"},
            {"steps": 4, "person_noise": "moved", "person_held": 0},
            {"steps": 4, "person_noise": "moved", "person_held": 0.5},
            {"steps": 4, "person_noise": "warped", "person_held": 0.5},
        )
    ]
    for index, frames in enumerate(results):
        for other in results[index + 1 :]:
            assert (frames != other).any()
    again = perform(made, person, steps=4, person_noise="moved", person_held=0.5)
    np.testing.assert_array_equal(again, results[3])


@pytest.mark.parametrize("background", ["generated", "source", "plate"])
def test_the_source_s_own_pixels_lie_over_the_edit(made: tuple[Backbone, Person], background: str) -> None:
    generated = perform(made, made[1], background, steps=4)
    detailed = perform(made, made[1], background, steps=4, detail="source")
    changed = (generated != detailed).any(axis=-1)
    assert 0.005 < changed.mean() < 0.9
    source = made[1].source
    colours = source.video.frames[source.masks].astype(float)
    low, high = np.quantile(colours, [0.1, 0.9], axis=0)
    alike = ((detailed[changed] >= low - 1) & (detailed[changed] <= high + 1)).all(axis=-1).mean()
    before = ((generated[changed] >= low - 1) & (generated[changed] <= high + 1)).all(axis=-1).mean()
    assert alike > before, "the person's colours come in"
    np.testing.assert_array_equal(perform(made, made[1], background, steps=4, detail="source"), detailed)


def test_a_held_person_is_its_moved_latents_as_noisy_as_each_step(made: tuple[Backbone, Person]) -> None:
    backbone, person = made
    config = parse_config(
        ApplyConfig, SHORT.model_dump(), {"sampling": {"steps": 10, "person_noise": "moved", "person_held": 0.3}}
    )
    seen: list[torch.Tensor] = []
    reference = film(3, speed=4.0)
    edit = apply_motion(
        backbone, person, reference, config, SilentProgress(), on_step=lambda t, z: seen.append(z.cpu().clone())
    )
    source = person.source.take(np.array([0, 1, 0]))
    people = source.masks, source.keypoints, edit.skeletons
    moved = move_person(person.latents[:, [0, 1, 0]], *people)
    lh, lw = person.noise.shape[-2:]
    fresh = FreshPerson.draw(person.noise[:, [0, 1, 0]], people_cells(*people, (lh, lw)), config.runtime.seed, moved)
    levels = signal_levels(backbone.base.scheduler, 10)
    where = fresh.where.expand_as(moved)
    held = [
        torch.allclose(z[where], fresh.put_into(z, level)[where]) for z, level in zip(seen, levels[1:], strict=False)
    ]
    assert held == [True] * 3 + [False] * 6
