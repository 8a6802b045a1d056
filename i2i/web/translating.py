"""The routes /v1/models and /v1/translate."""

from __future__ import annotations

import time
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, Response
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from i2i.errors import UsageError, setting
from i2i.images.reading import read
from i2i.images.writing import encode
from i2i.web.service import BYTES, PROBLEMS, Service
from i2i.web.worker import Translation

Format = Literal["png", "jpg", "webp"]

_TYPES: dict[Format, str] = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp"}
_FORM = {"type": "object", "required": ["image"], "properties": {"image": BYTES["schema"]}}
_BODY = {
    "required": True,
    "content": {"multipart/form-data": {"schema": _FORM}, "application/octet-stream": BYTES},
}


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


def routes(service: Service) -> APIRouter:
    """What lists models, and what translates."""
    router = APIRouter(prefix="/v1")

    @router.get("/models", responses={status: PROBLEMS[status] for status in (401, 403)})
    def list_models() -> ModelList:
        """The models on offer."""
        return ModelList(models=[ModelInfo(**model.describe()) for model in service.models])

    @router.get(
        "/models/{name}/thumbnail",
        response_class=FileResponse,
        responses={200: {"content": {"image/jpeg": BYTES}}, **{status: PROBLEMS[status] for status in (401, 403, 404)}},
    )
    def thumbnail(name: str) -> FileResponse:
        """A JPEG with inputs of a model above their outputs."""
        found = service.find(name).thumbnail
        if found is None:
            raise HTTPException(404, f"{name} has no thumbnail")
        return FileResponse(found, media_type="image/jpeg")

    @router.post(
        "/translate",
        response_class=Response,
        responses={200: {"content": dict.fromkeys(_TYPES.values(), BYTES)}, **PROBLEMS},
        openapi_extra={"requestBody": _BODY},
    )
    async def translate(
        request: Request,
        model: Annotated[str, Query(description="its name in /v1/models")],
        to: Annotated[str | None, Query(description="domain to translate to, where there are two directions")] = None,
        seed: Annotated[
            int | None, Query(ge=0, le=2**31, description="which of the outputs, for a model with many")
        ] = None,
        tile: Annotated[
            int | None, Query(ge=64, le=2**16, description="translate in tiles of this many pixels")
        ] = None,
        format: Annotated[Format, Query(description="of the answer")] = "png",
    ) -> Response:
        """Translate an image: a file as the body, or as the field `image` of a form."""
        service.find(model)

        async def answer() -> Response:
            data = await _image_of(request)
            began = time.monotonic()
            translator = await run_in_threadpool(service.models.translator, model, to)
            many = bool(translator.backend.latent)
            if seed is not None and not many:
                raise UsageError(f"{model} gives one output for an input; leave out {setting('seed')}")
            image = await run_in_threadpool(read, data, max_megapixels=service.limits.max_megapixels)
            late = began + service.limits.timeout
            result = await service.work(Translation(translator, image, (seed or 0) if many else None, tile, late))
            encoded = await run_in_threadpool(encode, result, f".{format}")
            took = f"translate;dur={1000 * (time.monotonic() - began):.1f}"
            return Response(encoded, media_type=_TYPES[format], headers={"Server-Timing": took})

        return await service.limited(answer())

    return router


async def _image_of(request: Request) -> bytes:
    """The image of a request: its body, or a file in its form."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        return await request.body()
    async with request.form(max_files=1, max_fields=8) as form:
        files = [value for value in form.values() if isinstance(value, UploadFile)]
        if not files:
            raise HTTPException(422, "the form has no file; put the image in its field `image`")
        return await files[0].read()
