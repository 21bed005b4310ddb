"""What ComfyUI asks of a pack: its nodes."""

from comfy_api.v0_0_2 import ComfyExtension, io

from .edit_nodes import ApplyMotion, LoadBase, LoadPerson, SavePerson, Scores, TunePerson
from .people_nodes import CleanPlate, EditKeypoints, FindPeople, PosesFromKeypoints, PosesToKeypoints, RetargetMotion

NODES: list[type[io.ComfyNode]] = [
    FindPeople,
    PosesFromKeypoints,
    PosesToKeypoints,
    EditKeypoints,
    RetargetMotion,
    CleanPlate,
    LoadBase,
    TunePerson,
    SavePerson,
    LoadPerson,
    ApplyMotion,
    Scores,
]


class EditYourMotion(ComfyExtension):
    """The pack."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """Its nodes."""
        return NODES
