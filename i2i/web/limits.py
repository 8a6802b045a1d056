"""How much a server takes: the bytes of a request, the requests at a time, and the time that one may take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from i2i.config import check_numbers


@dataclass(frozen=True)
class Limits:
    """What a server refuses.

    Attributes:
        max_megabytes: of the body of a request.
        max_megapixels: of an image, checked before it is decoded.
        max_requests: that are worked on or wait at a time; the next one gets status 429.
        timeout: seconds that a request may take, with its wait.
    """

    max_megabytes: float = 20.0
    max_megapixels: float = 25.0
    max_requests: int = 32
    timeout: float = 120.0

    def __post_init__(self) -> None:
        check_numbers(self, positive=("max_megabytes", "max_megapixels", "max_requests", "timeout"))


class TooBusy(Exception):
    """As many requests as are allowed are worked on or wait."""


class TooLarge(Exception):
    """The body of a request is larger than allowed."""


class Gate:
    """Lets in a number of requests at a time."""

    def __init__(self, most: int) -> None:
        self.most, self.inside = most, 0

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Count a request while it is worked on or waits; of one event loop.

        Raises:
            TooBusy: there are enough already.
        """
        if self.inside >= self.most:
            raise TooBusy
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1


class LimitBody:
    """Refuses bodies that are too large with status 413, as they arrive and before they are read."""

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        self.app, self.max_bytes = app, max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and count the bytes of its body."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        received, started, too_large = 0, False, False
        announced = dict(scope["headers"]).get(b"content-length", b"0")

        async def counted() -> Message:
            nonlocal received, too_large
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.max_bytes:
                too_large = True
                raise TooLarge
            return message

        async def watched(message: Message) -> None:
            nonlocal started
            if too_large and not started:
                raise TooLarge  # in place of what a reader of the body made of it
            started = True
            await send(message)

        try:
            if announced.isdigit() and int(announced) > self.max_bytes:
                raise TooLarge
            await self.app(scope, counted, watched)
        except TooLarge:
            if started:
                raise
            error = f"more than {self.max_bytes / 1e6:g} MB; send a smaller image"
            await JSONResponse({"error": error}, 413)(scope, receive, send)
