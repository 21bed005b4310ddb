"""Where a tensor lies in memory shall not decide how its products are rounded: everything loaded is put alike."""

from torch import Tensor

ALIGNMENT = 64
"""Bytes that the address of a fresh tensor of torch's on the CPU is a multiple of: a line of the cache, and a register
of the widest processors."""


def placed(tensor: Tensor) -> Tensor:
    """The tensor where a fresh one would lie: contiguous, and in memory of its own that begins at a multiple of 64.

    A file that is mapped into memory, or one tensor cut out of another, begins anywhere. What lies right already is
    returned as it is.
    """
    if tensor.device.type != "cpu":
        return tensor
    own = tensor.untyped_storage().nbytes() == tensor.nbytes
    if own and tensor.is_contiguous() and tensor.data_ptr() % ALIGNMENT == 0:
        return tensor
    return tensor.contiguous().clone()
