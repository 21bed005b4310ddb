"""Who may ask: this machine's own browsers, or on any other address whoever has the token."""

import secrets
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from edit_your_motion.serving.endpoints import refuse
from edit_your_motion.storage.files import write_text

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

FILE = "token"
COOKIE = "eym-token"
REFUSED = "Not let in without the library's token: open the link that was printed when the server was started."


class Access:
    """The check of every request.

    Args:
        token: that is demanded; None where only this machine can ask.
    """

    def __init__(self, token: str | None) -> None:
        self.token = token

    def check(self, request: "Request") -> "Response | None":
        """A refusal, or None.

        Without a token the page must have been opened by one of this machine's own names: a foreign name that was made
        to point here would make a foreign page ours.
        """
        if self.token is None:
            name = request.url.hostname or ""
            return None if is_loopback(name) else refuse(403, "this page answers to localhost alone")
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        given = (bearer, request.cookies.get(COOKIE, ""), request.query_params.get("token", ""))
        return None if any(self._is_right(each) for each in given) else refuse(401, REFUSED)

    def _is_right(self, given: str) -> bool:
        assert self.token is not None
        return secrets.compare_digest(given.encode(), self.token.encode())


def is_loopback(host: str) -> bool:
    """Whether an address or a name is this machine's own and nobody else's."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def load_token(folder: Path) -> str:
    """The token of a library, made once: a link goes on being right after a restart."""
    path = folder / FILE
    if not path.is_file():
        write_text(path, secrets.token_urlsafe(32))
        path.chmod(0o600)
    return path.read_text(encoding="utf-8").strip()
