"""The web application: its API under /v1, its page, and what operators read."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from io import BytesIO
from typing import Annotated, Any, Literal, TypeVar

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from PIL import Image
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from i2i.editing.strokes import strokes_from
from i2i.errors import ImageError, UsageError, setting
from i2i.images.reading import read
from i2i.images.writing import encode
from i2i.version import __version__
from i2i.web.limits import Gate, LimitBody, Limits, TooBusy
from i2i.web.metrics import Measure, Metrics
from i2i.web.models import PAGE, Models
from i2i.web.security import Guard
from i2i.web.worker import Translation, Worker

T = TypeVar("T")
Format = Literal["png", "jpg", "webp"]

_TYPES: dict[Format, str] = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp"}
_ANY = {"schema": {"type": "string", "format": "binary"}}
_IMAGE_BODY = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["image"],
                "properties": {"image": {"type": "string", "format": "binary"}},
            }
        },
        "application/octet-stream": _ANY,
    },
}


class Problem(BaseModel):
    """Why a request was refused."""

    error: str


class Direction(BaseModel):
    """A direction of translation, as names of domains."""

    source: str
    target: str


class ModelInfo(BaseModel):
    """A model on offer."""

    name: str
    kind: Literal["translate", "edit"]
    description: str
    licence: str
    directions: list[Direction]
    image_size: int
    samples: bool
    thumbnail: bool
    palette: dict[str, str]
    examples: list[str]


class ModelList(BaseModel):
    """The models on offer."""

    models: list[ModelInfo]


class Edit(BaseModel):
    """What to edit, and how.

    Attributes:
        model: the name of a model of kind `edit`.
        photo: an image file in base64; a generated image is edited where there is none.
        seed: of the projection, the sample and the candidates.
        strokes: as in the JSON file of `i2i edit`.
        candidate: which of the images that fit the strokes to take.
        morph: number of images on the way from the projection to the result; 0 for none.
    """

    model: str
    photo: str | None = None
    seed: int = Field(0, ge=0, le=2**31)
    strokes: list[dict[str, Any]] = Field(default_factory=list, max_length=200)
    candidate: int = Field(0, ge=0)
    morph: int = Field(0, ge=0, le=64)


class Candidate(BaseModel):
    """An image that fits the strokes."""

    image: str
    cost: float


class Edited(BaseModel):
    """The result of an edit; images are PNG files as data URLs.

    Attributes:
        projection: the generated image from which the edit began.
        image: the edited image, in the model's size.
        candidates: images that fit the strokes, best first.
        morph: images from the projection to the edited image.
        transfer: the photograph, with the edit carried over by motion and colour; empty where none was given.
        blend: the edited image where it differs, and the photograph elsewhere; empty where none was given.
        milliseconds: that the computation took.
    """

    projection: str
    image: str
    candidates: list[Candidate]
    morph: list[str]
    transfer: str
    blend: str
    milliseconds: int


class Health(BaseModel):
    """That the server answers."""

    status: str
    version: str


_PROBLEMS: dict[int | str, dict[str, Any]] = {
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


def make_app(models: Models, limits: Limits | None = None, *, token: str = "", loopback_only: bool = True) -> FastAPI:
    """The web application.

    Args:
        models: what it offers.
        limits: what it refuses.
        token: that requests must give, if any.
        loopback_only: whether it answers requests to this machine's own names only.
    """
    limits = limits or Limits()
    gate, metrics, max_bytes = Gate(limits.max_requests), Metrics(), round(limits.max_megabytes * 1e6)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.worker = Worker()
        yield
        await run_in_threadpool(app.state.worker.close)

    paths = frozenset({"/", "/healthz", "/metrics", "/v1/models", "/v1/translate", "/v1/edit"})
    app = FastAPI(
        title="i2i",
        version=__version__,
        summary="Image-to-image translation",
        docs_url=None,  # their pages load scripts from another host
        redoc_url=None,
        lifespan=lifespan,
        middleware=[
            Middleware(Measure, metrics=metrics, paths=paths),
            Middleware(Guard, token=token, loopback_only=loopback_only),
            Middleware(LimitBody, max_bytes=max_bytes),
        ],
    )
    _describe_errors(app)

    async def work(job: Translation | Callable[[], T]) -> Any:
        return await asyncio.wrap_future(app.state.worker.submit(job))

    async def limited(answer: Coroutine[Any, Any, T]) -> T:
        try:
            with gate.enter():
                return await asyncio.wait_for(answer, limits.timeout)
        finally:
            answer.close()  # where the gate was shut

    @app.get("/v1/models", responses={401: _PROBLEMS[401], 403: _PROBLEMS[403]})
    def list_models() -> ModelList:
        """The models on offer."""
        return ModelList(models=[ModelInfo(**model.describe()) for model in models])

    @app.get(
        "/v1/models/{name}/thumbnail",
        response_class=FileResponse,
        responses={200: {"content": {"image/jpeg": _ANY}}, **{status: _PROBLEMS[status] for status in (401, 403, 404)}},
    )
    def thumbnail(name: str) -> FileResponse:
        """A JPEG with inputs of a model above their outputs."""
        found = _find(models, name).thumbnail
        if found is None:
            raise HTTPException(404, f"{name} has no thumbnail")
        return FileResponse(found, media_type="image/jpeg")

    @app.post(
        "/v1/translate",
        response_class=Response,
        responses={200: {"content": dict.fromkeys(_TYPES.values(), _ANY)}, **_PROBLEMS},
        openapi_extra={"requestBody": _IMAGE_BODY},
    )
    async def translate(
        request: Request,
        model: Annotated[str, Query(description="its name in /v1/models")],
        to: Annotated[str | None, Query(description="domain to translate to, where there are two directions")] = None,
        seed: Annotated[
            int | None, Query(ge=0, le=2**31, description="which of the outputs, for a model with many")
        ] = None,
        tile: Annotated[int | None, Query(ge=1, le=2**16, description="translate in tiles of this many pixels")] = None,
        format: Annotated[Format, Query(description="of the answer")] = "png",
    ) -> Response:
        """Translate an image: a file as the body, or as the field `image` of a form."""
        _find(models, model)

        async def answer() -> Response:
            data = await _body(request)
            began = time.perf_counter()
            translator = await run_in_threadpool(models.translator, model, to)
            many = bool(translator.backend.latent)
            if seed is not None and not many:
                raise UsageError(f"{model} gives one output for an input; leave out {setting('seed')}")
            image = await run_in_threadpool(read, data, max_megapixels=limits.max_megapixels)
            result = await work(Translation(translator, image, (seed or 0) if many else None, tile))
            encoded = await run_in_threadpool(encode, result, f".{format}")
            took = f"translate;dur={1000 * (time.perf_counter() - began):.1f}"
            return Response(encoded, media_type=_TYPES[format], headers={"Server-Timing": took})

        return await limited(answer())

    @app.post("/v1/edit", responses=_PROBLEMS)
    async def edit(asked: Edit) -> Edited:
        """Edit a photograph, or a generated image, by strokes on the manifold of a generator."""
        _find(models, asked.model)
        strokes = strokes_from(asked.strokes)
        try:
            photo = None if asked.photo is None else base64.b64decode(asked.photo, validate=True)
        except ValueError:
            raise HTTPException(422, "photo isn't base64") from None
        if photo is not None:  # within the limits, before it is decoded again
            await run_in_threadpool(read, photo, max_megapixels=limits.max_megapixels)

        def compute() -> Edited:
            began = time.perf_counter()
            editor = models.editor(asked.model, photo, seed=asked.seed)
            projection = editor.image
            found = editor.apply(*strokes, seed=asked.seed) if strokes else []
            image = editor.choose(asked.candidate) if found else projection
            return Edited(
                projection=_data_url(projection),
                image=_data_url(image),
                candidates=[Candidate(image=_data_url(one.image), cost=one.cost) for one in found],
                morph=[_data_url(frame) for frame in editor.morph(max(asked.morph, 2))] if asked.morph else [],
                transfer=_data_url(editor.transfer()) if photo else "",
                blend=_data_url(editor.blend()) if photo else "",
                milliseconds=round(1000 * (time.perf_counter() - began)),
            )

        result: Edited = await limited(work(compute))
        return result

    @app.get("/healthz", responses={403: _PROBLEMS[403]})
    def health() -> Health:
        """That the server answers."""
        return Health(status="ok", version=__version__)

    @app.get(
        "/metrics",
        response_class=Response,
        responses={
            200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
            401: _PROBLEMS[401],
            403: _PROBLEMS[403],
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


def _find(models: Models, name: str) -> Any:
    try:
        return models.find(name)
    except UsageError as error:
        raise HTTPException(404, str(error)) from None


async def _body(request: Request) -> bytes:
    """The image of a request: its body, or a file in its form."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        return await request.body()
    async with request.form(max_files=1, max_fields=8) as form:
        files = [value for value in form.values() if isinstance(value, UploadFile)]
        if not files:
            raise HTTPException(422, "the form has no file; put the image in its field `image`")
        return await files[0].read()


def _data_url(image: Image.Image) -> str:
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _describe_errors(app: FastAPI) -> None:
    """Answer every error as JSON with a field `error`, in a line."""

    def answer(status: int, error: str, **headers: str) -> JSONResponse:
        return JSONResponse({"error": error}, status, headers)

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

    @app.exception_handler(TimeoutError)
    def late(_: Request, __: TimeoutError) -> JSONResponse:
        return answer(504, "it took longer than this server allows")
