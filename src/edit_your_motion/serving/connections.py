"""Connections that nobody holds for long without asking for something, nor keeps others out with."""

from asyncio import TimerHandle, Transport
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_CONNECTIONS = 600
"""Open at a time: as many as a process may have files open, less those that it reads."""
LONGEST_HEAD = 20.0
"""Seconds in which the head of a request has to come."""
LONGEST_BODY = 300.0
"""Seconds in which its body has to come."""


@cache
def make_protocol() -> "type[H11Protocol]":
    """What uvicorn speaks, with an end to every wait: by itself it waits for a request for ever."""
    import h11
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Patient(H11Protocol):
        """A connection that is closed where its request takes too long to come.

        Where there are too many, the one goes that has waited longest without a request.
        """

        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self._alarm: TimerHandle | None = None
            self._watched: Any = None
            self._opened = 0.0

        def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._opened = self.loop.time()
            self._watch()
            if len(self.connections) > MOST_CONNECTIONS:
                self._make_room()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch()

        def connection_lost(self, exc: Exception | None) -> None:
            self._disarm()
            super().connection_lost(exc)

        def is_idle(self) -> bool:
            """Whether nothing is being answered."""
            return self.cycle is None or bool(self.cycle.response_complete)

        def give_up(self) -> None:
            """Closes the connection."""
            self.transport.abort()

        def _make_room(self) -> None:
            there = [each for each in self.connections if isinstance(each, Patient) and not each.transport.is_closing()]
            if len(there) > MOST_CONNECTIONS:
                min(filter(Patient.is_idle, there), key=lambda each: each._opened).give_up()

        def _watch(self) -> None:
            """Waits for the rest of what has begun, from when it began."""
            state = self.conn.their_state
            if state is self._watched:
                return
            self._watched = state
            self._disarm()
            longest = {h11.IDLE: LONGEST_HEAD, h11.SEND_BODY: LONGEST_BODY}.get(state)
            if longest is not None:
                self._alarm = self.loop.call_later(longest, self.give_up)

        def _disarm(self) -> None:
            if self._alarm is not None:
                self._alarm.cancel()
                self._alarm = None

    return Patient
