"""What the routes of the API share: the models, the worker, the limits, and the form of an error."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from i2i.errors import ImageError, UsageError
from i2i.web.limits import Gate, Limits, TooBusy
from i2i.web.models import Models, Offered
from i2i.web.worker import Translation, Worker

T = TypeVar("T")
BYTES = {"schema": {"type": "string", "format": "binary"}}  # in the contract: any bytes


class Problem(BaseModel):
    """Why a request was refused."""

    error: str


PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": text}
    for status, text in {
        400: "the request can't be read",
        401: "the token is missing or wrong",
        403: "the page of another site, or another host name",
        404: "there is no such model",
        413: "the request is larger than allowed",
        422: "a value or the image can't be used",
        429: "too many requests at a time: try again after Retry-After seconds",
        504: "it took longer than allowed",
    }.items()
}


@dataclass
class Service:
    """Answers within limits.

    Attributes:
        models: what it offers.
        limits: what it refuses.
        worker: what computes.
    """

    models: Models
    limits: Limits
    worker: Worker = field(default_factory=Worker)

    def __post_init__(self) -> None:
        self.gate = Gate(self.limits.max_requests)

    def find(self, name: str) -> Offered:
        """The model of a name; status 404 where there is none."""
        try:
            return self.models.find(name)
        except UsageError as error:
            raise HTTPException(404, str(error)) from None

    async def work(self, job: Translation | Callable[[], Any]) -> Any:
        """The result of a job of the worker."""
        return await asyncio.wrap_future(self.worker.submit(job))

    async def limited(self, answer: Coroutine[Any, Any, T]) -> T:
        """An answer, in time and while there aren't too many.

        Raises:
            TooBusy: there are enough requests already.
            TimeoutError: it takes too long.
        """
        try:
            with self.gate.enter():
                return await asyncio.wait_for(answer, self.limits.timeout)
        finally:
            answer.close()  # where the gate was shut


def describe_errors(app: FastAPI) -> None:
    """Answer every error as JSON with a field `error`, in a line."""

    def answer(status: int, error: str) -> JSONResponse:
        return JSONResponse({"error": error}, status)

    @app.exception_handler(HTTPException)
    def http(_: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"error": str(error.detail)}, error.status_code, error.headers)

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
        return answer(422, f"{where}: {first['msg']}")

    @app.exception_handler(UsageError)
    @app.exception_handler(ImageError)
    def unusable(_: Request, error: UsageError | ImageError) -> JSONResponse:
        return answer(422, str(error))

    @app.exception_handler(TooBusy)
    def busy(_: Request, __: TooBusy) -> JSONResponse:
        return JSONResponse({"error": "too many requests at a time; try again in a second"}, 429, {"Retry-After": "1"})

    @app.exception_handler(ClientDisconnect)
    def gone(_: Request, __: ClientDisconnect) -> JSONResponse:
        return answer(400, "the request ended before its body did")

    @app.exception_handler(TimeoutError)
    @app.exception_handler(asyncio.TimeoutError)  # another one in Python 3.10
    def late(_: Request, __: TimeoutError) -> JSONResponse:
        return answer(504, "it took longer than this server allows")
