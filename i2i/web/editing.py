"""The route /v1/edit."""

from __future__ import annotations

import base64
import time
from io import BytesIO
from typing import Any

from fastapi import APIRouter
from PIL import Image
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from i2i.editing.strokes import Stroke, strokes_from
from i2i.images.reading import read
from i2i.web.service import PROBLEMS, Service


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


def routes(service: Service) -> APIRouter:
    """What edits."""
    router = APIRouter(prefix="/v1")

    @router.post("/edit", responses=PROBLEMS)
    async def edit(asked: Edit) -> Edited:
        """Edit a photograph, or a generated image, by strokes on the manifold of a generator."""
        service.find(asked.model)

        def read_request() -> tuple[list[Stroke], bytes | None]:
            try:
                photo = None if asked.photo is None else base64.b64decode(asked.photo, validate=True)
            except ValueError:
                raise HTTPException(422, "photo isn't base64") from None
            if photo is not None:  # within the limits, before it is decoded again
                read(photo, max_megapixels=service.limits.max_megapixels)
            return strokes_from(asked.strokes), photo

        def compute(strokes: list[Stroke], photo: bytes | None) -> Edited:
            began = time.perf_counter()
            editor = service.models.editor(asked.model, photo, seed=asked.seed)
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

        async def answer() -> Edited:
            strokes, photo = await run_in_threadpool(read_request)
            result: Edited = await service.work(lambda: compute(strokes, photo))
            return result

        return await service.limited(answer())

    return router


def _data_url(image: Image.Image) -> str:
    buffer = BytesIO()
    image.save(buffer, "PNG", compress_level=1)  # a fifth of the time
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
