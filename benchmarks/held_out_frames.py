"""What tuning gives on real clips: later frames of a clip are made from its first ones.

    python benchmarks/held_out_frames.py CLIP... --presets fast best --variants benchmarks/filmed_people.yaml

A variant is laid over the last preset. What `--output` has already is not made again.

The first `--frames` frames at `--fps` are the source, as many from `--later` seconds on the motion and the truth; the
skeletons are those that the finder sees, not aligned, for it is the same person in the same place. Where people hardly
move, the untouched source is near the truth too: its scores stand beside.
"""

import argparse
import json
import subprocess
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from edit_your_motion.benchmark.methods.variants import load_variants
from edit_your_motion.config import EditConfig, merge
from edit_your_motion.jobs.session import run_edit
from edit_your_motion.presets import make_config
from edit_your_motion.runtime.progress import SilentProgress
from edit_your_motion.video import Fit, probe, read_video, write_video


def cut(clip: Path, folder: Path, options: argparse.Namespace) -> dict[str, Path]:
    """The source and the truth of a clip, as files: its middle square, so that no skeleton is laid in other borders."""
    info = probe(clip)
    side = min(info.height, info.width) // 2 * 2
    parts = {}
    for name, start in (("source", 0.0), ("truth", options.later)):
        film = read_video(clip, start=start, frames=options.frames, fps=options.fps, fit=Fit(side, side))
        parts[name] = folder / f"{clip.stem}-{name}.mp4"
        write_video(parts[name], film.frames, film.fps, crf=4)
    return parts


def measure(
    clip: Path, name: str, changes: Mapping[str, Any], place: Path, options: argparse.Namespace
) -> dict[str, Any]:
    """The scores of an edit of a clip by itself, and the seconds of its phases."""
    parts = cut(clip, place, options)
    values = {
        "source": {"path": str(parts["source"])},
        "reference": {"path": str(parts["truth"])},
        "prompt": options.prompt,
        "model": {"base": "small"},
        "video": {"size": options.size},
        "alignment": {"method": "none"},
    }
    preset = name if name in options.presets else options.presets[-1]
    config = make_config(EditConfig, merge(values, changes), preset=preset)
    result = run_edit(config, place / f"{clip.stem}-{name}", SilentProgress(), truth=parts["truth"], force=True)
    record = json.loads((result.folder / "run.json").read_text())
    return {**result.scores, "seconds": sum(phase["seconds"] for phase in record["phases"].values())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path, nargs="+")
    parser.add_argument("--presets", nargs="+", default=["fast", "best"])
    parser.add_argument("--variants", type=Path, help="YAML file of settings, each with a name")
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--fps", type=int, default=12)
    parser.add_argument("--later", type=float, default=3.0, help="seconds after which the truth begins")
    parser.add_argument("--size", default="256")
    parser.add_argument("--prompt", default="a man is moving")
    parser.add_argument("--keep", type=Path, help="folder for the edits, to look at")
    parser.add_argument("--output", type=Path, default=Path("held-out.json"))
    options = parser.parse_args()
    wanted: dict[str, Mapping[str, Any]] = {preset: {} for preset in options.presets}
    if options.variants:
        wanted |= {variant.name: variant.overrides for variant in load_variants(options.variants)}
    facts = {name: getattr(options, name) for name in ("frames", "fps", "later", "size", "prompt")}
    kept = json.loads(options.output.read_text()) if options.output.exists() else {"clips": {}}
    if kept.keys() & facts.keys() and {name: kept[name] for name in facts} != facts:
        raise SystemExit(f"expected other settings in {options.output}, or another --output")
    commit = subprocess.run(["git", "rev-parse", "HEAD"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    with TemporaryDirectory() as temporary:
        place = options.keep or Path(temporary)
        place.mkdir(parents=True, exist_ok=True)
        for name, changes in wanted.items():
            for clip in options.clips:
                cells = kept["clips"].setdefault(clip.stem, {})
                if name in cells:
                    continue
                cells[name] = measure(clip, name, changes, place, options)
                date = datetime.now(timezone.utc).isoformat(timespec="seconds")
                kept |= {"date": date, "commit": commit, **facts}
                options.output.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
