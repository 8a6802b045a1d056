"""The web application: its API under /v1, its page, and what operators read."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Collection

from fastapi import FastAPI
from fastapi.responses import FileResponse, Response
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware

from i2i.version import __version__
from i2i.web import editing, translating
from i2i.web.limits import LimitBody, Limits
from i2i.web.metrics import Measure, Metrics
from i2i.web.models import PAGE, Models
from i2i.web.security import Guard
from i2i.web.service import PROBLEMS, Service, describe_errors

_PATHS = frozenset({"/", "/healthz", "/metrics", "/v1/models", "/v1/translate", "/v1/edit"})  # counted by themselves


class Health(BaseModel):
    """That the server answers."""

    status: str
    version: str


def make_app(
    models: Models, limits: Limits | None = None, *, token: str = "", hosts: Collection[str] | None = ()
) -> FastAPI:
    """The web application.

    Args:
        models: what it offers.
        limits: what it refuses.
        token: that requests must give, if any.
        hosts: names under which it may be reached, besides those of this machine; None for any.
    """
    limits = limits or Limits()
    service, metrics = Service(models, limits), Metrics()

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(service.worker.close, timeout=5)

    app = FastAPI(
        title="i2i",
        version=__version__,
        summary="Image-to-image translation",
        docs_url=None,  # their pages load scripts from another host
        redoc_url=None,
        lifespan=lifespan,
        middleware=[
            Middleware(Measure, metrics=metrics, paths=_PATHS),
            Middleware(Guard, token=token, hosts=hosts),
            Middleware(LimitBody, max_bytes=round(limits.max_megabytes * 1e6)),
        ],
    )
    describe_errors(app)
    app.include_router(translating.routes(service))
    app.include_router(editing.routes(service))

    @app.get("/healthz", responses={403: PROBLEMS[403]})
    def health() -> Health:
        """That the server answers."""
        return Health(status="ok", version=__version__)

    @app.get(
        "/metrics",
        response_class=Response,
        responses={
            200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
            **{status: PROBLEMS[status] for status in (401, 403)},
        },
    )
    def figures() -> Response:
        """Requests, their times and outcomes, as Prometheus reads them."""
        return Response(metrics.text(), media_type="text/plain; version=0.0.4")

    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        return FileResponse(PAGE / "index.html")

    app.mount("/page", StaticFiles(directory=PAGE))
    return app
