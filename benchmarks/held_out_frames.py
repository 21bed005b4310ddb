"""What tuning gives on real clips: later frames of a clip are made from its first ones.

    python benchmarks/held_out_frames.py CLIP... --presets fast best --output held-out.json

The first `--frames` frames at `--fps` are the source, as many from `--later` seconds on the motion and the truth; the
skeletons are those that the finder sees, not aligned, for it is the same person in the same place. Where people hardly
move, the untouched source is near the truth too: its scores stand beside.
"""

import argparse
import json
import subprocess
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from edit_your_motion.config import EditConfig
from edit_your_motion.jobs.session import run_edit
from edit_your_motion.presets import make_config
from edit_your_motion.runtime.progress import SilentProgress
from edit_your_motion.video import read_video, write_video


def cut(clip: Path, folder: Path, options: argparse.Namespace) -> dict[str, Path]:
    """The source and the truth of a clip, as files."""
    parts = {}
    for name, start in (("source", 0.0), ("truth", options.later)):
        film = read_video(clip, start=start, frames=options.frames, fps=options.fps)
        parts[name] = folder / f"{clip.stem}-{name}.mp4"
        write_video(parts[name], film.frames, film.fps, crf=4)
    return parts


def measure(clip: Path, preset: str, place: Path, options: argparse.Namespace) -> dict[str, Any]:
    """The scores of an edit of a clip by itself."""
    parts = cut(clip, place, options)
    values = {
        "source": {"path": str(parts["source"])},
        "reference": {"path": str(parts["truth"])},
        "prompt": options.prompt,
        "model": {"base": "small"},
        "video": {"size": options.size},
        "alignment": {"method": "none"},
    }
    config = make_config(EditConfig, values, preset=preset)
    result = run_edit(config, place / f"{clip.stem}-{preset}", SilentProgress(), truth=parts["truth"], force=True)
    return dict(result.scores)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path, nargs="+")
    parser.add_argument("--presets", nargs="+", default=["fast", "best"])
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--fps", type=int, default=12)
    parser.add_argument("--later", type=float, default=3.0, help="seconds after which the truth begins")
    parser.add_argument("--size", default="256")
    parser.add_argument("--prompt", default="a man is moving")
    parser.add_argument("--keep", type=Path, help="folder for the edits, to look at")
    parser.add_argument("--output", type=Path, default=Path("held-out.json"))
    options = parser.parse_args()
    with TemporaryDirectory() as temporary:
        place = options.keep or Path(temporary)
        place.mkdir(parents=True, exist_ok=True)
        found = {
            clip.stem: {preset: measure(clip, preset, place, options) for preset in options.presets}
            for clip in options.clips
        }
    commit = subprocess.run(["git", "rev-parse", "HEAD"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    facts = {name: getattr(options, name) for name in ("frames", "fps", "later", "size", "prompt")}
    date = datetime.now(timezone.utc).isoformat(timespec="seconds")
    options.output.write_text(json.dumps({"date": date, "commit": commit, **facts, "clips": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
