"""How often does the default people backend find rendered people's hands and faces, and how exactly?

    python benchmarks/hands_and_face.py [--size 512] [--frames 6] [--every 1] [--output OUT.json]

Renders the packaged motions and routines of choreography, or every so many-th of them, and finds the person in each
frame alone. The stage's bodies have wrists, eyes and a nose as points, and hands whose fingers do not move and are no
points: of a hand the wrist is compared, of a face the tip of the nose and both pupils, with the body's own joints in
the same places beside them. Prints, over all frames,

- found: of the hands whose wrist, and the faces of which nose and both eyes, are to be seen;
- made_up: of the faces of which neither nose nor eyes are to be seen, those that were found all the same;
- pck_020, pck_050: the share of what was found nearer to the truth than so many lengths of a hand, or heights of a
  head: 0.108 and 0.13 of the person's height (Drillis and Contini, 1966);
- body_020, body_050: the same of the body's joints, over the same hands and faces.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from steadying import HEADINGS, ROUTINES, TURNING

from edit_your_motion.people.finders.blazepose import BlazePose
from edit_your_motion.people.keypoints import BODY_JOINTS
from edit_your_motion.stage import Scene, render_clip
from edit_your_motion.stage.motion import ACTIONS

RATE = 4
HAND, HEAD = 0.108, 0.13
WRISTS = [BODY_JOINTS.index(name) for name in ("left_wrist", "right_wrist")]
FEATURES = [BODY_JOINTS.index(name) for name in ("nose", "right_eye", "left_eye")]
FACE_FEATURES = [30, 68, 69]
SHARES = {"020": 0.2, "050": 0.5}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--frames", type=int, default=6)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    backend = BlazePose(hands=True, face=True)
    faces: list[tuple[bool, np.ndarray, np.ndarray]] = []
    hands: list[tuple[bool, np.ndarray, np.ndarray]] = []
    hidden: list[bool] = []
    for seed, name in list(enumerate((*ACTIONS, *ROUTINES)))[:: options.every]:
        scene = Scene.sample(seed)
        act = replace(scene.performance, name=name, seed=seed, speed=1.2, start=0.2)
        if name not in TURNING:
            act = replace(act, heading=float(np.random.default_rng(seed).choice(HEADINGS)))
        clip = render_clip(
            replace(scene, performance=act), frames=options.frames, size=(options.size, options.size), fps=RATE
        )
        tall = clip.masks.any(axis=2).sum(axis=1)
        height = float(np.percentile(tall[tall > 0], 90))
        for frame, truth in zip(clip.frames, clip.keypoints.body, strict=True):
            people = backend.detect(frame[None])[0]
            if not people:
                continue
            person = max(people, key=lambda one: np.prod(one.box[2:] - one.box[:2]))
            assert person.hands is not None
            assert person.face is not None
            for hand, wrist in zip(person.hands, WRISTS, strict=True):
                if truth[wrist, 2]:
                    places = np.stack([hand[0, :2], person.body[wrist, :2]])
                    apart = np.linalg.norm(places - truth[wrist, :2], axis=-1) / (HAND * height)
                    hands.append((bool(hand[0, 2]), apart[:1], apart[1:]))
            seen = truth[FEATURES, 2] > 0
            if not seen.any():
                hidden.append(bool(person.face[:, 2].any()))
            if seen.all():
                places = np.stack([person.face[FACE_FEATURES, :2], person.body[FEATURES, :2]])
                apart = np.linalg.norm(places - truth[FEATURES, :2], axis=-1) / (HEAD * height)
                faces.append((bool(person.face[FACE_FEATURES, 2].all()), *apart))
    table = []
    for part, cases in (("hands", hands), ("faces", faces)):
        read = [(own, body) for found, own, body in cases if found]
        own, body = (np.concatenate([pair[which] for pair in read]) for which in (0, 1))
        row: dict[str, object] = {"part": part, "seen": len(cases), "found": round(len(read) / len(cases), 3)}
        for label, share in SHARES.items():
            row[f"pck_{label}"] = round(float((own < share).mean()), 3)
            row[f"body_{label}"] = round(float((body < share).mean()), 3)
        if part == "faces":
            row |= {"hidden": len(hidden), "made_up": round(float(np.mean(hidden)), 3)}
        table.append(row)
        print(json.dumps(row))
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
