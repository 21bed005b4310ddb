"""What keeps the look beyond the paper, in whole edits: a tuned decoder, and the source's own background."""

from pathlib import Path

import numpy as np
import pytest
import torch

from edit_your_motion.backbone import Backbone
from edit_your_motion.config import ApplyConfig, SamplingConfig, TuneConfig, parse_config
from edit_your_motion.edit import apply_motion, tune_person
from edit_your_motion.errors import CheckpointError
from edit_your_motion.person import DECODER, Person, load_person
from edit_your_motion.progress import SilentProgress
from synthetic_clip import film, short_tune, write_clip

SHORT = ApplyConfig(sampling=SamplingConfig(steps=2))


@pytest.fixture(scope="module")
def made(checkpoints: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Backbone, Person]:
    """A base, and a person whose decoder was tuned on it."""
    clip = write_clip(tmp_path_factory.mktemp("source"), film(2))
    decoder = {"tuning": {"decoder": {"iterations": 4, "learning_rate": 1e-2}}}
    config = parse_config(TuneConfig, short_tune(checkpoints, clip).model_dump(), decoder)
    backbone = Backbone.load(config.model, config.runtime)
    return backbone, tune_person(backbone, clip.prepared, config, SilentProgress())


def perform(made: tuple[Backbone, Person], person: Person, background: str = "generated") -> np.ndarray:
    config = parse_config(ApplyConfig, SHORT.model_dump(), {"sampling": {"background": background}})
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
