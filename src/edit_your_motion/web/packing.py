"""A folder as a zip file that is sent while it is made: neither memory nor disk holds it."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

PART = 1 << 20


class _Outlet(io.RawIOBase):
    """Keeps what is written until it is taken."""

    def __init__(self) -> None:
        self.kept = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: "bytes | bytearray | memoryview") -> int:  # type: ignore[override]
        self.kept += data
        return len(data)

    def take(self) -> bytes:
        taken, self.kept = bytes(self.kept), bytearray()
        return taken


def zip_folder(folder: Path) -> Iterator[bytes]:
    """The bytes of a zip file of a folder, under its own name; nothing is compressed, for tensors do not shrink."""
    outlet = _Outlet()
    with zipfile.ZipFile(outlet, "w", zipfile.ZIP_STORED) as packed:
        for path in sorted(folder.rglob("*")):
            if not path.is_file():
                continue
            name = Path(folder.name, path.relative_to(folder))
            about = zipfile.ZipInfo.from_file(path, name, strict_timestamps=False)  # the clock may have been anywhere
            with path.open("rb") as content, packed.open(about, "w", force_zip64=True) as place:
                while part := content.read(PART):
                    place.write(part)
                    yield outlet.take()
    yield outlet.take()
