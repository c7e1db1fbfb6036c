"""The phone's abstract sockets: names at which its programs listen (`localabstract:`)."""

from __future__ import annotations

from app.virtual_phone.transport import Service


class AbstractSockets:
    """The names that are listened at. A connection to any other name is refused."""

    def __init__(self) -> None:
        self._listening: dict[str, Service] = {}

    def listen(self, name: str, serve: Service) -> None:
        """Serve connections to `name` until `close`."""
        self._listening[name] = serve

    def close(self, name: str) -> None:
        """Refuse connections to `name` from now on; those that are open stay."""
        self._listening.pop(name, None)

    def resolve(self, name: str) -> Service | None:
        return self._listening.get(name)
