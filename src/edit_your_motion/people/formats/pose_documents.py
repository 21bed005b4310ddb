"""What pose tools write as JSON, one document a frame or one for a clip, as people in frames.

OpenPose          ``people[].pose_keypoints_2d`` with hands and face, ``canvas_width`` and ``canvas_height`` beside
ComfyUI           a list of those, one a frame
annotators        the raw ``bodies`` (``candidate`` and ``subset``), ``hands`` and ``faces``
COCO, AlphaPose   a list of people with ``image_id`` and ``keypoints``; ``images`` and ``annotations``
MMPose            ``instance_info`` with ``frame_id`` and ``instances``, or a list of instances for one frame
ViTPose           ``keypoints`` by frame and person in (y, x, score); or lists of people with ``keypoints``, ``scores``
Ultralytics       people with ``keypoints`` of ``x``, ``y`` and ``visible``
numbers           nested lists (frame, point, 2 or 3) or (frame, person, point, 2 or 3), or (frame, 3 x points)
frames by name    an object of frames by their numbers or pictures; a list or an object under ``frames``

Coordinates are taken as they are written, in pixels or as shares of the canvas.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

import numpy as np
from jaxtyping import Float32
from scipy.optimize import linear_sum_assignment

from edit_your_motion.errors import PersonError
from edit_your_motion.people.formats.joint_layouts import COCO_JOINTS, COUNTS, KNOWN_COUNTS, Person, arrange
from edit_your_motion.people.formats.keypoints_file import MAX_FRAMES, read_number, read_side
from edit_your_motion.people.keypoints import BODY_JOINTS, FACE_POINTS, HAND_POINTS

UNDERSTOOD = (
    "OpenPose's people, ComfyUI's list of them, COCO's or AlphaPose's results, MMPose's instance_info, ViTPose's "
    "keypoints, or lists of numbers (frame, point, x y confidence)"
)
MOST_PEOPLE = 1000

_FRAME_NUMBERS = ("image_id", "frame_id", "frame_index", "frame")
_HEIGHTS, _WIDTHS = ("canvas_height", "height", "image_height"), ("canvas_width", "width", "image_width")
_CANVAS = {*_HEIGHTS, *_WIDTHS, "version"}
_WRAPPERS = ("frames", "poses")
WRISTS, NOSE = [BODY_JOINTS.index("left_wrist"), BODY_JOINTS.index("right_wrist")], [BODY_JOINTS.index("nose")]
_HAND_ROOT, _NOSE_TIP = 0, 30
"""Which of a hand's points is the wrist, and which of a face's the tip of the nose."""
_REACH = 1.5
"""How far from its joint a hand or a face may be, in lengths of its longer side."""
_FIELDS = {
    "hand_left_keypoints_2d": (HAND_POINTS,),
    "hand_right_keypoints_2d": (HAND_POINTS,),
    "face_keypoints_2d": (FACE_POINTS, 68),
}


@dataclass(frozen=True)
class Frame:
    """The people in one frame, in the document's own units, and the size of its canvas where it states one."""

    people: Sequence[Person] = ()
    height: int | None = None
    width: int | None = None


def read_document(where: str, content: Any) -> list[Frame]:
    """The frames of a JSON document.

    Args:
        where: names the file, for messages.
        content: of the file, parsed.

    Raises:
        PersonError: the content is none of the above, or damaged; says where.
    """
    if isinstance(content, dict):
        return _read_object(where, content)
    if not isinstance(content, list):
        raise PersonError(f"{where}: expected {UNDERSTOOD}, got {content!r:.80}")
    # Nobody is null, an empty object, or one that states a canvas and nothing else.
    content = [None if isinstance(entry, dict) and not entry.keys() - _CANVAS else entry for entry in content]
    present = [entry for entry in content if entry is not None]
    if len(content) > MAX_FRAMES:
        raise PersonError(f"{where}: expected at most {MAX_FRAMES} entries, got {len(content)}")
    if not present:
        return [Frame()] * max(1, len(content))
    if all(isinstance(entry, dict) for entry in present):
        return _read_objects(where, content, present)
    if all(isinstance(entry, list) and all(isinstance(one, dict | None) for one in entry) for entry in present):
        frames = [read_document(f"{where}, frame {index}", entry or []) for index, entry in enumerate(content)]
        return [frame for parsed in frames for frame in parsed]
    return read_array(where, _as_array(where, content))


def read_array(where: str, array: np.ndarray) -> list[Frame]:
    """The frames of an array (point, 2 or 3), (frame, point, 2 or 3) or (frame, person, point, 2 or 3); the numbers of
    all points may stand in one row.

    Raises:
        PersonError: it has another shape or holds no numbers.
    """
    if array.ndim == 2:  # no two layouts have as many numbers
        sizes = [size for size in (2, 3) if array.shape[1] % size == 0 and array.shape[1] // size in COUNTS]
        array = array.reshape(len(array), -1, sizes[0]) if sizes else array
    if array.dtype.kind not in "fiu" or array.ndim not in (2, 3, 4) or array.shape[-1] not in (2, 3):
        raise PersonError(
            f"{where}: expected {UNDERSTOOD}, got {array.dtype} of shape ({', '.join(map(str, array.shape))})"
        )
    if array.shape[-2] not in COUNTS:
        raise PersonError(f"{where}: expected {KNOWN_COUNTS} points, got {array.shape[-2]}")
    if array.ndim < 4:
        array = array.reshape(-1, 1, *array.shape[-2:])
    if not 0 < len(array) <= MAX_FRAMES or array.shape[1] > MOST_PEOPLE:
        raise PersonError(
            f"{where}: expected 1 to {MAX_FRAMES} frames of up to {MOST_PEOPLE} people, "
            f"got {len(array)} of {array.shape[1]}"
        )
    points = np.clip(array.astype(np.float64), -1e9, 1e9).astype(np.float32)
    if points.shape[-1] == 2:
        # Without a confidence, the corner of the picture stands for a point that was not found.
        points = np.concatenate([points, points.any(axis=-1, keepdims=True)], axis=-1)
    return [Frame([arrange(f"{where}, frame {index}", one) for one in frame]) for index, frame in enumerate(points)]


def _as_array(where: str, content: list[Any]) -> np.ndarray:
    try:
        return np.array(content)
    except (ValueError, RecursionError) as error:  # of uneven lengths
        raise PersonError(f"{where}: expected {UNDERSTOOD}, got lists of uneven lengths") from error


def _read_object(where: str, content: dict[str, Any]) -> list[Frame]:
    if "people" in content:
        return [_read_openpose(where, content)]
    if "bodies" in content:
        return [_read_bodies(where, content)]
    if "annotations" in content:
        return _read_coco(where, content)
    if "instance_info" in content:
        names = content.get("meta_info")
        _check_names(where, names.get("keypoint_id2name") if isinstance(names, dict) else None)
        return read_document(where, content["instance_info"])
    if "keypoints" in content and "skeleton" in content:
        return _read_vitpose(where, content["keypoints"], content["skeleton"])
    for name in _WRAPPERS:
        if isinstance(content.get(name), list | dict):
            return _sized(where, content, read_document(f"{where}, {name}", content[name]))
    if len(content) > 1 and all(isinstance(one, dict | list | None) and re.search(r"\d", PurePath(name).stem)
                                for name, one in content.items()):  # fmt: skip
        return _read_named(where, content)
    raise PersonError(
        f"{where}: expected {UNDERSTOOD}, got an object of {', '.join(sorted(content))[:120] or 'nothing'}"
    )


def _sized(where: str, content: dict[str, Any], frames: list[Frame]) -> list[Frame]:
    """The frames, with the canvas that a document states once for all of them."""
    height, width = _read_sides(where, content)
    return [frame if frame.height or frame.width else replace(frame, height=height, width=width) for frame in frames]


def _read_named(where: str, content: dict[str, Any]) -> list[Frame]:
    """Frames by their numbers, or by the names of their pictures."""
    frames: dict[int, Frame] = {}
    for name, one in content.items():
        place = f"{where}, frame {name}"
        number = _number(place, name)
        # A flat list of numbers is one person's points.
        flat = isinstance(one, list) and bool(one) and not isinstance(one[0], list | dict | None)
        read = read_document(place, [one] if flat else one or [])
        if len(read) != 1 or number in frames:
            got = f"{len(read)} frames" if len(read) != 1 else f"number {number} again"
            raise PersonError(f"{place}: expected one frame under each name, and of its own number, got {got}")
        frames[number] = read[0]
    return _in_order(where, frames)


def _read_objects(where: str, content: list[Any], present: list[dict[str, Any]]) -> list[Frame]:
    """A list of objects: of frames, of people with the names of their frames, or the people of one frame."""
    if all("people" in entry or "bodies" in entry for entry in present):
        return [
            Frame() if entry is None else _read_object(f"{where}, frame {index}", entry)[0]
            for index, entry in enumerate(content)
        ]
    if all("instances" in entry for entry in present):
        numbered = {
            _number(f"{where}, entry {index}", entry.get("frame_id", index)): Frame(
                _read_people(f"{where}, entry {index}", entry["instances"])
            )
            for index, entry in enumerate(present)
        }
        return _in_order(where, numbered)
    for name in _FRAME_NUMBERS:
        if all(name in entry and "keypoints" in entry for entry in present):
            people = _by_image(where, present, name)
            return _in_order(where, {number: Frame(together) for number, together in people.items()})
    if all("keypoints" in entry for entry in present):
        return [Frame(_read_people(where, present))]
    raise PersonError(f"{where}: expected {UNDERSTOOD}, got a list of objects of {_keys(present[0])}")


def _keys(content: dict[str, Any]) -> str:
    return ", ".join(sorted(content))[:120] or "nothing"


def _in_order(where: str, numbered: Mapping[int, Frame]) -> list[Frame]:
    """Frames by their numbers; where the numbers have gaps nobody was found, unless all steps are alike."""
    numbers = sorted(numbered)
    steps = np.diff(numbers)
    step = int(steps[0]) if len(steps) > 1 and (steps == steps[0]).all() else 1
    if (numbers[-1] - numbers[0]) // step >= MAX_FRAMES:
        raise PersonError(f"{where}: expected at most {MAX_FRAMES} frames, got numbers {numbers[0]} to {numbers[-1]}")
    return [numbered.get(number, Frame()) for number in range(numbers[0], numbers[-1] + 1, step)]


def _number(where: str, name: object) -> int:
    """The number of a frame, or the last one in the name of its picture."""
    if isinstance(name, int) and not isinstance(name, bool) and abs(name) < 10**12:
        return name
    found = re.findall(r"\d{1,12}", PurePath(name).stem) if isinstance(name, str) else []
    if not found:
        raise PersonError(f"{where}: expected the number of a frame or a name with one, got {name!r:.80}")
    return int(found[-1])


def _by_image(where: str, people: Sequence[dict[str, Any]], name: str = "image_id") -> dict[int, list[Person]]:
    """Each frame's people, by what names their frames."""
    numbered: dict[int, list[Person]] = {}
    for index, person in enumerate(people):
        place = f"{where}, entry {index}"
        numbered.setdefault(_number(place, person[name]), []).extend(_read_people(place, [person]))
    return numbered


def _read_coco(where: str, content: dict[str, Any]) -> list[Frame]:
    """COCO's annotations: a frame an image, in the order of their file names."""
    images, annotations, categories = content.get("images"), content["annotations"], content.get("categories") or []
    lists = (images, annotations, categories)
    if not all(isinstance(rows, list) and all(isinstance(row, dict) for row in rows) for rows in lists):
        raise PersonError(f'{where}: expected "images", "annotations" and "categories" to be lists of objects')
    assert isinstance(images, list)
    for category in categories:
        names = category.get("keypoints")
        _check_names(where, dict(enumerate(names)) if isinstance(names, list) else None)
    people = _by_image(where, [row for row in annotations if "keypoints" in row and "image_id" in row])
    frames: dict[int, Frame] = {}
    for index, image in enumerate(images):
        place = f"{where}, image {index}"
        sides = [read_side(place, side, image[side]) if side in image else None for side in ("height", "width")]
        number = _number(place, image.get("file_name", image.get("id")))
        if number in frames or len(frames) > MAX_FRAMES:
            raise PersonError(f"{place}: expected up to {MAX_FRAMES} images of different numbers, got {number} again")
        frames[number] = Frame(people.get(_number(place, image.get("id")), ()), *sides)
    return [frames[number] for number in sorted(frames)]


def _check_names(where: str, names: object) -> None:
    """Passes joints in COCO's order, as far as the document names them: animals have 17 points too."""
    if not isinstance(names, dict):
        return
    first = [names.get(index, names.get(str(index))) for index in range(len(COCO_JOINTS))]
    if first != list(COCO_JOINTS):
        raise PersonError(f"{where}: expected joints named as COCO's, {', '.join(COCO_JOINTS[:3])} …, got {first[:3]}")


def _read_vitpose(where: str, frames: object, names: object) -> list[Frame]:
    """easy_ViTPose's file: for each frame a person's points (y, x, score) by the person's number."""
    if not isinstance(frames, list) or not all(isinstance(frame, dict) for frame in frames):
        raise PersonError(f'{where}: expected "keypoints" to be a list of objects, person by number')
    _check_names(where, names)
    read = []
    for index, frame in enumerate(frames):
        place = f"{where}, frame {index}"
        points = [_read_points(place, rows, None) for _, rows in sorted(frame.items())]
        read.append(Frame([arrange(place, one[:, [1, 0, 2]]) for one in points]))
    return read


def _read_people(where: str, people: object) -> list[Person]:
    """A frame's people as objects with keypoints, and with scores where they stand apart."""
    if people is None:
        return []
    if not isinstance(people, list) or len(people) > MOST_PEOPLE or not all(isinstance(one, dict) for one in people):
        raise PersonError(f"{where}: expected a list of up to {MOST_PEOPLE} people as objects, got {people!r:.80}")
    found = []
    for index, person in enumerate(people):
        place = f"{where}, person {index}"
        keypoints = person.get("keypoints")
        if isinstance(keypoints, dict):
            columns = [keypoints.get(name) for name in ("x", "y", "visible") if name in keypoints]
            if len(columns) < 2 or not all(isinstance(column, list) for column in columns):
                raise PersonError(f'{place}: expected keypoints of lists "x", "y" and "visible"')
            keypoints = [list(row) for row in zip(*columns, strict=False)]
        scores = person.get("keypoint_scores", person.get("scores"))
        points = _read_points(place, keypoints, scores)
        if "num_keypoints" in person:
            points[:, 2] /= 2  # COCO's annotators write 1 for a hidden joint and 2 for a visible one
        if len(points):
            found.append(arrange(place, points))
    return found


def _read_points(where: str, rows: object, scores: object) -> Float32[np.ndarray, "points 3"]:
    """Points out of a flat list of x, y, confidence, or a list of [x, y] or [x, y, confidence]."""
    if rows is None or rows == []:
        return np.zeros((0, 3), np.float32)
    if not isinstance(rows, list) or len(rows) > 3 * max(COUNTS):
        raise PersonError(f"{where}: expected a list of keypoints, got {rows!r:.80}")
    flat = not isinstance(rows[0], list)
    if flat:
        size = 2 if isinstance(scores, list) and len(rows) == 2 * len(scores) else 3
        if len(rows) % size:
            raise PersonError(
                f"{where}: expected {', '.join(map(str, COUNTS))} keypoints x, y, confidence, got {rows!r:.80}"
            )
        rows = [rows[start : start + size] for start in range(0, len(rows), size)]
    if not all(isinstance(row, list) and 2 <= len(row) <= 3 for row in rows):
        raise PersonError(f"{where}: expected {KNOWN_COUNTS} keypoints [x, y, confidence], got {rows!r:.80}")
    if isinstance(scores, list):
        if len(scores) != len(rows):
            raise PersonError(f"{where}: expected {len(rows)} scores, one a keypoint, got {len(scores)}")
        rows = [[*row[:2], score] for row, score in zip(rows, scores, strict=True)]
    # Some writers put null where a point was not found.
    points = [[0.0 if value is None else read_number(where, value) for value in row] for row in rows]
    return np.array([point if len(point) == 3 else [*point, float(any(point))] for point in points], np.float32)


def _read_openpose(where: str, content: dict[str, Any]) -> Frame:
    people = content["people"]
    if people is None:
        people = []
    if not isinstance(people, list) or len(people) > MOST_PEOPLE or not all(isinstance(one, dict) for one in people):
        raise PersonError(f'{where}: expected "people" to be a list of objects, up to {MOST_PEOPLE}')
    found = []
    for index, person in enumerate(people):
        place = f"{where}, person {index}"
        body = person.get("pose_keypoints_2d", person.get("pose_keypoints"))
        points = _read_flat(f"{place}, pose_keypoints_2d", body, COUNTS)
        parts = [_read_flat(f"{place}, {name}", person.get(name), counts) for name, counts in _FIELDS.items()]
        whole = arrange(place, points) if len(points) else _nobody()
        found.append(_with_parts(whole, *parts))
    return Frame(found, *_read_sides(where, content))


def _read_sides(where: str, content: dict[str, Any]) -> list[int | None]:
    """Height and width of the canvas, each None where it is not stated."""
    stated = [next((name for name in names if content.get(name) is not None), None) for names in (_HEIGHTS, _WIDTHS)]
    return [None if name is None else read_side(where, name, content[name]) for name in stated]


def _nobody() -> Person:
    return Person(*(np.zeros((*shape, 3), np.float32) for shape in ((18,), (2, HAND_POINTS), (FACE_POINTS,))))


def _with_parts(person: Person, left: np.ndarray, right: np.ndarray, face: np.ndarray) -> Person:
    """The person with the hands and the face that stand apart from the body, where they do."""
    hands, whole_face = person.hands.copy(), person.face.copy()
    for into, points in ((hands[0], left), (hands[1], right), (whole_face, face)):
        if points[:, 2].any():
            into[: len(points)] = points
    return Person(person.body, hands, whole_face)


def _read_flat(where: str, numbers: object, counts: tuple[int, ...]) -> Float32[np.ndarray, "points 3"]:
    """Points of one of several counts, with confidences of 0 and more; none where there is no list."""
    points = _read_points(where, numbers, None)
    if len(points) and len(points) not in counts:
        wanted = " or ".join(str(3 * count) for count in counts)
        raise PersonError(f"{where}: expected {wanted} numbers, got {3 * len(points)}")
    if (points[:, 2] < 0).any():
        raise PersonError(f"{where}: expected confidences of 0 or more, got {points[:, 2].min()}")
    points[:, 2] = np.minimum(points[:, 2], 1)
    return points


def _read_bodies(where: str, content: dict[str, Any]) -> Frame:
    """People out of the annotators' own tables: `candidate` points, and in `subset` each person's indices to them."""
    bodies = content["bodies"]
    if isinstance(bodies, list) and all(isinstance(body, dict) and "joints" in body for body in bodies):
        joints = [_read_points(f"{where}, body {index}", body["joints"], None) for index, body in enumerate(bodies)]
        return Frame([arrange(where, points) for points in joints])
    tables = [bodies.get(name) if isinstance(bodies, dict) else None for name in ("candidate", "subset")]
    if not all(isinstance(table, list) and all(isinstance(row, list) for row in table) for table in tables):
        raise PersonError(f'{where}: expected "bodies" with the lists "candidate" and "subset" in it')
    candidate, subset = tables
    assert isinstance(candidate, list)
    assert isinstance(subset, list)
    people: list[Person] = []
    for index, row in enumerate(subset[:MOST_PEOPLE]):
        place = f"{where}, person {index}"
        if len(row) < len(BODY_JOINTS):
            raise PersonError(f"{place}: expected {len(BODY_JOINTS)} indices, got {len(row)}")
        body = np.zeros((len(BODY_JOINTS), 3), np.float32)
        for joint, value in enumerate(row[: len(BODY_JOINTS)]):
            at = int(read_number(place, value))
            if at < 0:
                continue
            if at >= len(candidate):
                raise PersonError(f"{place}, {BODY_JOINTS[joint]}: expected one of {len(candidate)} points, got {at}")
            body[joint] = _candidate_point(f"{place}, {BODY_JOINTS[joint]}", candidate[at])
        people.append(replace(_nobody(), body=body))
    hands = _listed(f"{where}, hands", content.get("hands"), HAND_POINTS)
    faces = _listed(f"{where}, faces", content.get("faces"), FACE_POINTS)
    wrists, noses = (np.stack([one.body[joints] for one in people]) if people else np.zeros((0, len(joints), 3))
                     for joints in (WRISTS, NOSE))  # fmt: skip
    for hand, (index, side) in _nearest(hands, wrists, _HAND_ROOT):
        people[index].hands[side] = hand
    for face, (index, _) in _nearest(faces, noses, _NOSE_TIP):
        people[index].face[:] = face
    return Frame(people, *_read_sides(where, content))


def _nearest(
    parts: Sequence[np.ndarray], joints: Float32[np.ndarray, "people n 3"], root: int
) -> list[tuple[np.ndarray, tuple[int, int]]]:
    """Hands or faces with the person and the joint that each hangs on: tools list them in orders of their own, person
    by person or side by side, and leave out what they do not find.

    Args:
        parts: the points of each.
        joints: that they may hang on.
        root: which of their points lies there.
    """
    seen = [part for part in parts if part[:, 2].any()]
    if not seen or not joints.size:
        return []
    roots = np.stack([part[root] if part[root, 2] else part[part[:, 2] > 0].mean(axis=0) for part in seen])
    places = joints.reshape(-1, 3)
    far = np.linalg.norm(roots[:, None, :2] - places[None, :, :2], axis=-1)
    far[:, places[:, 2] == 0] = np.inf
    sizes = np.array([np.ptp(part[part[:, 2] > 0, :2], axis=0).max() for part in seen])
    far[far > _REACH * sizes[:, None]] = np.inf
    unlikely = 1e9
    pairs = zip(*linear_sum_assignment(np.minimum(far, unlikely)), strict=True)
    count = joints.shape[1]
    return [(seen[part], divmod(int(place), count)) for part, place in pairs if far[part, place] < unlikely]


def _candidate_point(where: str, row: list[object]) -> list[float]:
    if len(row) < 2:
        raise PersonError(f"{where}: expected x and y, got {row!r:.80}")
    numbers = [read_number(where, value) for value in row[:3]]
    # The third number, where there is one, is a score; the coordinates alone mean that the point was found.
    confidence = min(max(numbers[2], 0.0), 1.0) if len(numbers) > 2 else 1.0
    return [numbers[0], numbers[1], confidence]


def _listed(where: str, table: object, count: int) -> list[Float32[np.ndarray, "points 3"]]:
    """Hands' or faces' points out of the annotators' lists of [x, y]; -1 or 0 stands for a point that was not found."""
    listed = []
    for rows in table[: 2 * MOST_PEOPLE] if isinstance(table, list) else ():
        if not isinstance(rows, list):
            continue
        if len(rows) > count or not all(isinstance(row, list) for row in rows):
            raise PersonError(f"{where}: expected at most {count} points [x, y], got {len(rows)}")
        points = np.zeros((count, 3), np.float32)
        for at, row in enumerate(rows):
            point = _candidate_point(f"{where}, point {at}", row)
            if min(point[:2]) > 0:
                points[at] = point
        listed.append(points)
    return listed
