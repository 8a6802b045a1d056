"""Rules by which tyro reads our dataclasses: metavars, which defaults help shows, and errors that pass through it."""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Callable
from typing import Annotated, Any

import tyro
from tyro.constructors import (
    ConstructorRegistry,
    PrimitiveConstructorSpec,
    PrimitiveTypeInfo,
    StructConstructorSpec,
    StructFieldSpec,
    StructTypeInfo,
    UnsupportedTypeAnnotationError,
)

from i2i.errors import UsageError

registry = ConstructorRegistry()
_METAVARS = {
    "channels": "FROM TO",
    "device": "DEVICE",
    "discriminator": "NETWORK",
    "domains": "A B",
    "features": "NETWORK",
    "generator": "NETWORK",
    "label": "CLASS",
    "model": "MODEL",
    "run": "FOLDER",
    "to": "DOMAIN",
}
_in_progress: set[Any] = set()


class Refused(Exception):
    """A `UsageError` of a dataclass, which tyro would print as a ValueError of its own."""

    def __init__(self, error: UsageError) -> None:
        super().__init__(error)
        self.error = error


@registry.primitive_rule
def _optional(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | UnsupportedTypeAnnotationError | None:
    """Read `X | None` as X: a flag that is left out is None."""
    inner = [kind for kind in typing.get_args(info.type) if kind is not type(None)]
    if info.type_origin not in (typing.Union, types.UnionType) or len(inner) != 1:
        return None
    spec = ConstructorRegistry.get_primitive_spec(PrimitiveTypeInfo.make(inner[0], info.markers))
    if not isinstance(spec, PrimitiveConstructorSpec):
        return spec
    return dataclasses.replace(
        spec,
        is_instance=lambda value: value is None or spec.is_instance(value),
        str_from_instance=lambda value: [] if value is None else spec.str_from_instance(value),
    )


@registry.struct_rule
def _dataclass(info: StructTypeInfo) -> StructConstructorSpec | None:
    """tyro's own rule for dataclasses, with our help and our errors."""
    if not dataclasses.is_dataclass(info.type) or info.type in _in_progress:
        return None
    _in_progress.add(info.type)
    try:
        spec = ConstructorRegistry.get_struct_spec(info)
    finally:
        _in_progress.remove(info.type)
    if not isinstance(spec, StructConstructorSpec):
        return None
    fields = tuple(map(_with_help, spec.fields))
    return dataclasses.replace(spec, instantiate=_let_through(spec.instantiate), fields=fields)


def _let_through(instantiate: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(instantiate)
    def made(*args: Any, **options: Any) -> Any:
        try:
            return instantiate(*args, **options)
        except UsageError as error:
            raise Refused(error) from None

    return made


def _with_help(field: StructFieldSpec) -> StructFieldSpec:
    if dataclasses.is_dataclass(field.default):  # a group of flags
        return field
    words = tyro.conf.arg(help_behavior_hint=_default, metavar=_METAVARS.get(field.name))
    kind: Any = Annotated[field.type, words]
    text = field.helptext

    def joined() -> str:  # tyro takes a line that begins with a flag for a new paragraph
        return " ".join(((text() if callable(text) else text) or "").split())

    return dataclasses.replace(field, type=kind, helptext=joined)


def _default(default: str) -> str:
    return "" if default in ("", "None", "False") else f"(default: {default})"
