"""Text alignment and temporal consistency by CLIP: Table VI's TA and TC."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Float32, Float64
from PIL import Image
from torch import Tensor

from edit_your_motion.errors import CheckpointError, ModelFileError, VideoError
from edit_your_motion.metrics.frames import Frames, iterate_batches
from edit_your_motion.models.downloads import may_download
from edit_your_motion.storage.parsing import parse_json

DEFAULT_CLIP = "openai/clip-vit-large-patch14"
"""The paper does not name its CLIP; this one is the most usual for TA. The numbers of two CLIPs are not comparable."""

_BATCH = 16


@dataclass(frozen=True)
class ClipModel:
    """A CLIP model that maps frames and prompts to unit vectors.

    Args:
        model: a `transformers.CLIPModel`.
        tokenizer: its tokenizer.
        size: side of the square that the vision tower takes, pixels.
        mean: of the colours in 0..1, RGB.
        deviation: of the colours in 0..1, RGB.
    """

    model: Any
    tokenizer: Any
    size: int
    mean: Float32[np.ndarray, "3"]
    deviation: Float32[np.ndarray, "3"]

    @torch.inference_mode()
    def embed_frames(self, frames: Frames) -> Float64[np.ndarray, "f d"]:
        """The unit vectors of the frames."""
        vectors = []
        for batch in iterate_batches(frames, _BATCH):
            pixels = np.stack([self._prepare(frame) for frame in batch])
            tower = self.model.vision_model(pixel_values=torch.from_numpy(pixels).to(self._device))
            vectors.append(_to_unit(self.model.visual_projection(tower.pooler_output)))
        if not vectors:
            raise VideoError("expected at least one frame, got none")
        return np.concatenate(vectors)

    @torch.inference_mode()
    def embed_prompt(self, prompt: str) -> Float64[np.ndarray, "d"]:
        """The unit vector of a prompt, cut after the tokens that the text tower takes."""
        longest = self.model.config.text_config.max_position_embeddings
        tokens = self.tokenizer([prompt], return_tensors="pt", truncation=True, max_length=longest).to(self._device)
        tower = self.model.text_model(input_ids=tokens.input_ids, attention_mask=tokens.attention_mask)
        return _to_unit(self.model.text_projection(tower.pooler_output))[0]

    @property
    def _device(self) -> torch.device:
        return next(self.model.parameters()).device

    def _prepare(self, frame: np.ndarray) -> Float32[np.ndarray, "3 h w"]:
        """CLIP's own preparation: shorter side to `size` by bicubic, centre square, colours standardised."""
        height, width = frame.shape[:2]
        # Like the published preparation, the longer side is cut to an integer and not rounded.
        new_width, new_height = (self.size * side // min(height, width) for side in (width, height))
        picture = Image.fromarray(frame).resize((new_width, new_height), Image.Resampling.BICUBIC)
        left, top = (new_width - self.size) // 2, (new_height - self.size) // 2
        square = np.asarray(picture)[top : top + self.size, left : left + self.size]
        return rearrange((square.astype(np.float32) / 255 - self.mean) / self.deviation, "h w c -> c h w")


def load_clip(path_or_name: str | Path = DEFAULT_CLIP, device: str = "cpu", *, allow_fetch: bool = False) -> ClipModel:
    """A CLIP model in the layout of `transformers`, safetensors only.

    Args:
        path_or_name: folder, or name on the Hugging Face hub.
        device: where to compute.
        allow_fetch: whether a hub name may be downloaded; otherwise only what its cache holds is used.

    Raises:
        ModelFileError: the model is neither a folder nor in the hub's cache, or cannot be downloaded.
        CheckpointError: the folder is not a CLIP model.
    """
    from transformers import CLIPModel, CLIPTokenizer
    from transformers.utils import cached_file

    source = str(path_or_name)
    options = {"local_files_only": not (allow_fetch and may_download())}
    try:
        model = CLIPModel.from_pretrained(source, use_safetensors=True, **options).eval()
        tokenizer = CLIPTokenizer.from_pretrained(source, **options)
        preparation = parse_json(Path(cached_file(source, "preprocessor_config.json", **options)).read_text("utf-8"))
        mean, deviation = (np.array(preparation[key], np.float32) for key in ("image_mean", "image_std"))
    except OSError as why:
        raise ModelFileError(
            f"the CLIP model '{source}' is not here: give a folder that holds config.json, model.safetensors, the "
            f"tokenizer and preprocessor_config.json, or allow its download ({str(why).splitlines()[0]})"
        ) from why
    except (KeyError, ValueError, TypeError) as why:
        raise CheckpointError(f"expected a CLIP model in '{source}', but {why}") from why
    model.requires_grad_(False).to(device)
    return ClipModel(model, tokenizer, model.config.vision_config.image_size, mean, deviation)


def text_alignment(generated: Frames, prompt: str, clip: ClipModel) -> Float64[np.ndarray, "f"]:
    """TA: 100 times the cosine of each frame's and the prompt's CLIP vectors.

    Convention: in [-100, 100], around 20 to 30 for real pairs; higher is better; the model has to be named.

    Raises:
        VideoError: no frames.
    """
    return 100 * clip.embed_frames(generated) @ clip.embed_prompt(prompt)


def temporal_consistency(generated: Frames, clip: ClipModel) -> Float64[np.ndarray, "pairs"]:
    """TC: the cosine of the CLIP vectors of each frame and the next.

    Convention: adjacent frames, as the paper and FateZero have it (LOVEU-TGVE averages all pairs); in [-1, 1], higher
    is steadier (a still video gets 1); the model has to be named.

    Raises:
        VideoError: fewer than two frames.
    """
    return compare_neighbours(clip.embed_frames(generated))


def compare_neighbours(vectors: Float64[np.ndarray, "f d"]) -> Float64[np.ndarray, "pairs"]:
    """The dot products of successive vectors.

    Raises:
        VideoError: fewer than two vectors.
    """
    if len(vectors) < 2:
        raise VideoError("TC compares neighbouring frames and needs at least 2")
    return (vectors[:-1] * vectors[1:]).sum(axis=1)


def _to_unit(vectors: Float[Tensor, "b d"]) -> Float64[np.ndarray, "b d"]:
    vectors = vectors.double()
    return (vectors / vectors.norm(dim=1, keepdim=True)).cpu().numpy()
