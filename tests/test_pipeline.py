"""The pipeline keeps the conventions of diffusers."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from edit_your_motion import EditYourMotionPipeline, TuneConfig
from edit_your_motion.config import ApplyConfig, BaseConfig, EditConfig, parse_config
from edit_your_motion.errors import CheckpointError, ConfigError, OutOfMemoryError
from edit_your_motion.nn.video_unet import VideoUNet
from edit_your_motion.people.preparation import PreparedClip
from edit_your_motion.presets import PresetName, make_config
from edit_your_motion.runtime.progress import SilentProgress
from edit_your_motion.sampling.kept_background import people_cells
from synthetic_clip import SyntheticClip, film, short_edit, write_clip

pytestmark = pytest.mark.law


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> SyntheticClip:
    return write_clip(tmp_path_factory.mktemp("walk"), film(2))


@pytest.fixture(scope="module")
def config(checkpoints: Path, walk: SyntheticClip) -> EditConfig:
    return short_edit(checkpoints, walk, walk)


@pytest.fixture(scope="module")
def pipeline(checkpoints: Path, walk: SyntheticClip, config: EditConfig) -> EditYourMotionPipeline:
    pipeline = EditYourMotionPipeline.from_pretrained(
        checkpoints / "base", controlnet=checkpoints / "controlnet", device="cpu"
    )
    pipeline.tune(walk.prepared, prompt="a box walks", config=config.for_tuning())
    return pipeline


def test_files_and_prepared_clips_do_alike(
    pipeline: EditYourMotionPipeline, walk: SyntheticClip, config: EditConfig
) -> None:
    prepared = pipeline.apply(walk.prepared, config=config.for_applying()).frames
    from_file = pipeline.apply(walk.video, config=config.for_applying()).frames
    assert prepared.shape == from_file.shape == (2, 64, 64, 3)
    np.testing.assert_allclose(from_file, prepared, atol=0.02)


def test_every_output_type_is_the_same_edit(
    pipeline: EditYourMotionPipeline, walk: SyntheticClip, config: EditConfig
) -> None:
    def apply(output_type: str) -> object:
        return pipeline.apply(walk.prepared, config=config.for_applying(), output_type=output_type).frames

    array = apply("np")
    assert array.dtype == np.float32
    assert 0 <= array.min() < array.max() <= 1
    torch.testing.assert_close(apply("pt"), torch.from_numpy(array).permute(0, 3, 1, 2))
    pictures = apply("pil")
    assert all(isinstance(picture, Image.Image) for picture in pictures)
    np.testing.assert_array_equal(np.stack([np.asarray(picture) for picture in pictures]), np.round(array * 255))
    latents = apply("latent")
    assert latents.shape == (1, 2, 4, 8, 8)
    decoded = pipeline.backbone.decode(latents, SilentProgress())
    np.testing.assert_array_equal(decoded, np.round(array * 255))


def test_an_unknown_output_type_is_refused_at_once(pipeline: EditYourMotionPipeline, walk: SyntheticClip) -> None:
    unchecked = EditYourMotionPipeline.apply.__wrapped__  # below the tests' own checking of types
    with pytest.raises(ConfigError, match="np, pt, pil, latent"):
        unchecked(pipeline, walk.prepared, output_type="jpeg")


def test_the_callback_sees_every_step_and_may_change_it(
    pipeline: EditYourMotionPipeline, walk: SyntheticClip, config: EditConfig
) -> None:
    seen: list[tuple[int, int]] = []

    def watch(whose: object, step: int, timestep: int, values: dict) -> None:
        assert whose is pipeline
        seen.append((step, timestep))

    def blank(whose: object, step: int, timestep: int, values: dict) -> dict:
        return {"latents": torch.zeros_like(values["latents"])}

    settings = {"config": config.for_applying(), "num_inference_steps": 3, "output_type": "latent"}
    plain = pipeline.apply(walk.prepared, **settings).frames
    watched = pipeline.apply(walk.prepared, **settings, callback_on_step_end=watch).frames
    blanked = pipeline.apply(walk.prepared, **settings, callback_on_step_end=blank).frames
    assert [step for step, _ in seen] == [0, 1, 2]
    timesteps = [timestep for _, timestep in seen]
    assert timesteps == sorted(timesteps, reverse=True)
    assert torch.equal(plain, watched)
    assert not blanked.any()


def test_guidance_and_negative_prompt_matter(
    pipeline: EditYourMotionPipeline, walk: SyntheticClip, config: EditConfig
) -> None:
    def apply(**settings: object) -> torch.Tensor:
        return pipeline.apply(walk.prepared, config=config.for_applying(), output_type="latent", **settings).frames

    plain, guided = apply(), apply(guidance_scale=5)
    assert torch.equal(plain, apply(guidance_scale=1, negative_prompt="a cat"))
    assert not torch.equal(plain, guided)
    assert not torch.equal(guided, apply(guidance_scale=5, negative_prompt="a cat"))


def test_guidance_from_the_sources_pose_strengthens_what_the_new_pose_changes(
    pipeline: EditYourMotionPipeline, walk: SyntheticClip, config: EditConfig
) -> None:
    def apply(reference: PreparedClip, **sampling: object) -> torch.Tensor:
        values = {"alignment": {"method": "none"}, "sampling": sampling}
        settings = parse_config(ApplyConfig, config.for_applying().model_dump(), values)
        return pipeline.apply(reference, config=settings, output_type="latent").frames

    pose = {"guidance_scale": 4, "guidance_from": "pose"}
    # The source's own pose changes nothing, so there is nothing to strengthen.
    torch.testing.assert_close(apply(walk.prepared, **pose), apply(walk.prepared), atol=1e-4, rtol=1e-4)
    other = film(2, seed=1, speed=1.0)
    plain, guided = apply(other), apply(other, **pose)
    assert not torch.equal(plain, guided)
    assert torch.equal(guided, apply(other, **pose, negative_prompt="a cat"))
    unseen = apply(other, guidance_scale=4, guidance_from="skeleton")
    assert not torch.equal(unseen, plain)
    assert not torch.equal(unseen, guided)


def test_guidance_can_be_rescaled(pipeline: EditYourMotionPipeline, walk: SyntheticClip, config: EditConfig) -> None:
    def apply(**sampling: object) -> torch.Tensor:
        settings = parse_config(ApplyConfig, config.for_applying().model_dump(), {"sampling": sampling})
        return pipeline.apply(walk.prepared, config=settings, output_type="latent").frames

    for away in ("prompt", "skeleton"):
        strong = {"guidance_scale": 8, "guidance_from": away}
        assert not torch.equal(apply(**strong), apply(**strong, guidance_rescale=0.7))
    assert torch.equal(apply(), apply(guidance_rescale=0.7)), "without guidance there is nothing to rescale"


@pytest.mark.parametrize("away", ["skeleton", "pose"])
def test_guidance_from_a_pose_leaves_the_place_alone(
    pipeline: EditYourMotionPipeline, walk: SyntheticClip, config: EditConfig, away: str
) -> None:
    def step(scale: float) -> torch.Tensor:
        sampling = {"steps": 1, "guidance_scale": scale, "guidance_from": away}
        values = {"alignment": {"method": "none"}, "sampling": sampling}
        settings = parse_config(ApplyConfig, config.for_applying().model_dump(), values)
        return pipeline.apply(other, config=settings, output_type="latent").frames

    other = film(2, seed=1, speed=1.0)
    people = people_cells(walk.prepared.masks, walk.prepared.keypoints, other.keypoints, (8, 8)).expand(1, 2, 4, 8, 8)
    plain, guided = step(1), step(6)
    assert people.any()
    assert not people.all()
    assert torch.equal(plain[~people], guided[~people])
    assert not torch.equal(plain[people], guided[people])


def test_the_generators_seed_decides_the_tuning(
    pipeline: EditYourMotionPipeline, walk: SyntheticClip, config: EditConfig
) -> None:
    other, once = EditYourMotionPipeline(pipeline.backbone, pipeline.model), {"iterations": 1}
    config = parse_config(
        TuneConfig, config.for_tuning().model_dump(), {"tuning": {"motion": once, "appearance": once}}
    )
    losses = [
        other.tune(walk.prepared, config=config, generator=torch.Generator().manual_seed(seed)).losses
        for seed in (1, 1, 2)
    ]
    assert losses[0] == losses[1] != losses[2]
    assert other.person is not None
    assert other.person.config.runtime.seed == 2
    assert other.person.config.model == pipeline.model


def test_a_saved_person_loads_with_their_base_and_performs_the_same(
    pipeline: EditYourMotionPipeline, walk: SyntheticClip, config: EditConfig, tmp_path: Path
) -> None:
    pipeline.save_pretrained(tmp_path / "person")
    loaded = EditYourMotionPipeline.from_pretrained(tmp_path / "person", device="cpu")
    assert loaded.model == pipeline.model
    one, other = (
        each.apply(walk.prepared, config=config.for_applying(), output_type="latent").frames
        for each in (pipeline, loaded)
    )
    assert torch.equal(one, other)


def test_the_tuning_reports_its_steps(
    pipeline: EditYourMotionPipeline, walk: SyntheticClip, config: EditConfig
) -> None:
    steps = []
    other = EditYourMotionPipeline(pipeline.backbone, pipeline.model)
    person = other.tune(walk.prepared, config=config.for_tuning(), callback=steps.append)
    assert [(step.stage, step.step) for step in steps] == [(0, 1), (0, 2), (1, 1), (1, 2)]
    assert [step.loss for step in steps] == person.losses


def test_settings_out_of_range_are_named(pipeline: EditYourMotionPipeline, walk: SyntheticClip) -> None:
    with pytest.raises(ConfigError, match=r"sampling\.steps"):
        pipeline.apply(walk.prepared, num_inference_steps=0)


def test_half_precision_runs_and_saves(
    checkpoints: Path, walk: SyntheticClip, config: EditConfig, tmp_path: Path
) -> None:
    precision = torch.bfloat16
    pipeline = EditYourMotionPipeline.from_pretrained(
        checkpoints / "base", controlnet=checkpoints / "controlnet", torch_dtype=precision, device="cpu"
    )
    assert pipeline.backbone.dtype == precision
    person = pipeline.tune(walk.prepared, prompt="x", config=config.for_tuning())
    assert all(np.isfinite(person.losses))
    assert {value.dtype for value in person.parameters.values()} == {precision}
    frames = pipeline.apply(walk.prepared, config=config.for_applying()).frames
    pipeline.save_pretrained(tmp_path / "person")
    again = EditYourMotionPipeline.from_pretrained(tmp_path / "person", torch_dtype=precision, device="cpu")
    np.testing.assert_array_equal(again.apply(walk.prepared, config=config.for_applying()).frames, frames)


def test_a_motion_adapter_takes_the_place_of_temporal_attention(
    checkpoints: Path, walk: SyntheticClip, config: EditConfig
) -> None:
    pipeline = EditYourMotionPipeline.from_pretrained(
        checkpoints / "base",
        controlnet=checkpoints / "controlnet",
        motion_adapter=checkpoints / "adapter",
        device="cpu",
    )
    person = pipeline.tune(walk.prepared, config=config.for_tuning())
    assert any(name.startswith("motion_adapter.") for name in person.parameters)
    assert not any("attn_temp" in name for name in person.parameters)
    # A second tuning starts from the adapter as it was loaded, not from where the first one left it.
    assert pipeline.tune(walk.prepared, config=config.for_tuning()).losses == person.losses


def test_nothing_works_before_tuning(pipeline: EditYourMotionPipeline, walk: SyntheticClip, tmp_path: Path) -> None:
    untuned = EditYourMotionPipeline(pipeline.backbone, pipeline.model)
    with pytest.raises(ConfigError, match=r"tune\(\)"):
        untuned.apply(walk.prepared)
    with pytest.raises(ConfigError, match=r"tune\(\)"):
        untuned.save_pretrained(tmp_path / "person")
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_loaded(checkpoints: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="torch_dtype"):
        EditYourMotionPipeline.from_pretrained(
            checkpoints / "base", controlnet=checkpoints / "controlnet", torch_dtype=torch.float64
        )
    shutil.copytree(checkpoints / "base", tmp_path / "base", ignore=shutil.ignore_patterns("vae"))
    with pytest.raises(CheckpointError, match="found no vae"):
        EditYourMotionPipeline.from_pretrained(tmp_path / "base", controlnet=checkpoints / "controlnet")


@pytest.mark.parametrize(
    "failure",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
    ids=["GPU", "Python", "CPU"],
)
def test_running_out_of_memory_says_what_to_lower(
    pipeline: EditYourMotionPipeline,
    walk: SyntheticClip,
    config: EditConfig,
    failure: Exception,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise failure

    monkeypatch.setattr(VideoUNet, "forward", fail)
    other = EditYourMotionPipeline(pipeline.backbone, pipeline.model, pipeline.person)
    with pytest.raises(OutOfMemoryError, match=r"--video\.size or --windows\.frames"):
        other.apply(walk.prepared, config=config.for_applying())
    with pytest.raises(OutOfMemoryError, match=r"--video\.size or --windows\.frames"):
        other.tune(walk.prepared, config=config.for_tuning())


def test_other_failures_are_not_taken_for_memory(
    pipeline: EditYourMotionPipeline, walk: SyntheticClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise RuntimeError("something else")

    monkeypatch.setattr(VideoUNet, "forward", fail)
    with pytest.raises(RuntimeError, match="something else"):
        pipeline.apply(walk.prepared, config=ApplyConfig())


@pytest.mark.parametrize(("asked", "taken"), [(None, "fast"), ("best", "best"), ("paper", "paper")])
def test_presets_are_those_of_the_command_line(
    pipeline: EditYourMotionPipeline,
    walk: SyntheticClip,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    asked: PresetName | None,
    taken: PresetName,
) -> None:
    (tmp_path / "recommended.yaml").write_text("preset: fast\nsettings: {sampling: {guidance_scale: 2}}\n")
    model = {"base": str(tmp_path)}
    tuned, used = pipeline.person, list[ApplyConfig]()

    def stop(
        backbone: object, person: object, reference: object, config: ApplyConfig, *_: object, **__: object
    ) -> None:
        used.append(config)
        raise KeyboardInterrupt

    monkeypatch.setattr(
        "edit_your_motion.pipeline.tune_person", lambda _, __, config, *___, **____: replace(tuned, config=config)
    )
    monkeypatch.setattr("edit_your_motion.pipeline.apply_motion", stop)
    own = EditYourMotionPipeline(pipeline.backbone, BaseConfig(**model))
    given = {"inversion": {"steps": 7}, "model": {"base": "another"}}
    person = own.tune(walk.prepared, "a box walks", preset=asked, config=given)
    expected = {"inversion": {"steps": 7}, "model": model, "prompt": "a box walks"}
    assert (person.preset, person.config) == (taken, make_config(TuneConfig, expected, preset=taken))
    for again, preset in ((None, taken), ("best", "best")):
        with pytest.raises(KeyboardInterrupt):
            own.apply(walk.prepared, preset=again, config={"sampling": {"steps": 9}}, guidance_scale=5)
        sampling = {"sampling": {"steps": 9, "guidance_scale": 5}}
        whole = make_config(EditConfig, {"model": model, **sampling}, preset=preset)
        assert used.pop() == whole.for_applying()


def test_a_preset_does_not_go_with_settings_that_are_complete(
    pipeline: EditYourMotionPipeline, walk: SyntheticClip
) -> None:
    with pytest.raises(ConfigError, match="a TuneConfig and the preset 'best'"):
        pipeline.tune(walk.prepared, preset="best", config=TuneConfig())
    with pytest.raises(ConfigError, match="stepz"):
        pipeline.apply(walk.prepared, config={"sampling": {"stepz": 1}})


def test_defaults_are_the_papers() -> None:
    config = TuneConfig()
    assert [(stage.iterations, stage.learning_rate) for stage in config.tuning.stages] == [(300, 3e-5)] * 2
    assert (config.inversion.steps, config.inversion.guidance_scale) == (50, 1)
    assert (ApplyConfig().sampling.steps, ApplyConfig().sampling.guidance_scale) == (50, 1)
