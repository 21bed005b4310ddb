"""A server of one application on one address of this machine."""

import socket
import sys
from typing import TYPE_CHECKING

from edit_your_motion.errors import ConfigError, MissingExtraError
from edit_your_motion.serving.connections import make_protocol

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from uvicorn import Server


def make_server(app: "Starlette", extra: str = "study") -> "Server":
    """A server of the application; it keeps no log of who asked for what, for that would tell addresses and tokens.

    Args:
        app: what is served.
        extra: whose page it is.

    Raises:
        MissingExtraError: the extra is not installed.
    """
    try:
        from uvicorn import Config, Server
    except ImportError:
        raise MissingExtraError("uvicorn", extra, "the web page") from None
    return Server(
        Config(
            app, http=make_protocol(), ws="none", lifespan="off", loop="asyncio", access_log=False,
            log_level="warning", server_header=False, timeout_graceful_shutdown=5,
        )
    )  # fmt: skip


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0 takes any that is free.

    Raises:
        ConfigError: the port is taken, or the address is none of this machine's.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=512)
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"expected an address to listen on, got {host} port {port} ({error}): choose another"
        ) from error


def show_address(listening: socket.socket) -> str:
    """Where a browser finds what listens there."""
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


def serve_until_interrupted(server: "Server", listening: socket.socket, query: str = "", *, ended: str) -> None:
    """Says where the page is, and serves it until Ctrl-C.

    Args:
        server: what serves.
        listening: where.
        query: what the printed link ends in.
        ended: what is said at the end.
    """
    sys.stdout.write(f"{show_address(listening)}{query} (Ctrl-C ends it)\n")
    sys.stdout.flush()
    try:
        server.run(sockets=[listening])
    except KeyboardInterrupt:  # raised once more after the server has ended well
        sys.stdout.write(f"{ended}\n")
