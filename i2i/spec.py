"""Specs: the one string that rebuilds a network, such as `unet:in_channels=3,out_channels=3,depth=8`."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import NoneType, UnionType
from typing import Any, Literal, Union

from i2i.errors import UsageError, unknown
from i2i.registry import T

Scalar = int | float | bool | str | None


@dataclass(frozen=True)
class Spec:
    """A registered name with its options, written `name:option=value,option=value`.

    Values are ints, floats, true, false, none or words. `Spec.parse(str(spec)) == spec` always holds.
    """

    name: str
    options: Mapping[str, Scalar] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", dict(self.options))
        for word in (self.name, *self.options):
            if not word.isidentifier():
                raise UsageError(f"{word!r} is not a name; a spec reads name:option=value,option=value")
        for option, value in self.options.items():
            text = _write(value)
            kept = text and text == text.strip() and not set(text) & set(",= ")
            if not kept or _read(text) != value or type(_read(text)) is not type(value):
                raise UsageError(f"{self.name}: {option}={value!r} can't be written in a spec")

    @classmethod
    def parse(cls, text: str) -> Spec:
        """Read a spec.

        Raises:
            UsageError: a part is not option=value, or an option is given twice.
        """
        name, _, rest = text.strip().partition(":")
        options: dict[str, Scalar] = {}
        for part in filter(None, rest.split(",")):
            option, equals, value = (piece.strip() for piece in part.partition("="))
            if not equals or not value:
                raise UsageError(f"{part!r} in {text!r} is not option=value, such as depth=7")
            if option in options:
                raise UsageError(f"{option!r} is given twice in {text!r}")
            options[option] = _read(value)
        return cls(name, options)

    def __str__(self) -> str:
        options = ",".join(f"{option}={_write(value)}" for option, value in self.options.items())
        return f"{self.name}:{options}" if options else self.name

    def __hash__(self) -> int:
        return hash((self.name, frozenset(self.options.items())))

    def complete(self, registry: Mapping[str, Callable[..., T]], **given: Scalar) -> Spec:
        """This spec with the options `given` by the program and every default of the builder written out.

        Raises:
            UsageError: an unknown name or option, a value of the wrong type, a missing option, or one that contradicts
                `given`.
        """
        builder = registry[self.name]
        parameters = inspect.signature(builder).parameters
        hints = typing.get_type_hints(builder.__init__ if inspect.isclass(builder) else builder)
        for option, value in self.options.items():
            if option not in parameters:
                raise unknown(f"option of {self.name!r}", option, parameters)
            if option in hints and not _fits(value, hints[option]):
                raise UsageError(f"{self.name}: {option}={_write(value)} should be {_describe(hints[option])}")
            if option in given and given[option] != value:
                raise UsageError(f"{self.name}: {option}={_write(value)}, but here it must be {_write(given[option])}")
        defaults = {n: p.default for n, p in parameters.items() if p.default is not p.empty}
        chosen = {**defaults, **{n: v for n, v in given.items() if n in parameters}, **self.options}
        missing = [n for n in parameters if n not in chosen]
        if missing:
            raise UsageError(f"{self.name} needs {', '.join(missing)}, such as {self.name}:{missing[0]}=3")
        return Spec(self.name, {n: chosen[n] for n in parameters})

    def over(self, default: Spec) -> Spec:
        """This spec with the options that it leaves out from a default of the same name; itself for another name."""
        return Spec(self.name, {**default.options, **self.options}) if self.name == default.name else self

    def brief(self, registry: Mapping[str, Callable[..., T]]) -> Spec:
        """Only the options that differ from the builder's defaults, for display."""
        defaults = {n: p.default for n, p in inspect.signature(registry[self.name]).parameters.items()}
        return Spec(self.name, {n: v for n, v in self.options.items() if n not in defaults or v != defaults[n]})

    def build(self, registry: Mapping[str, Callable[..., T]], **given: Scalar) -> T:
        """Build what the spec names; see `complete` for `given` and the errors."""
        return registry[self.name](**self.complete(registry, **given).options)


_WORDS: dict[str, bool | None] = {"true": True, "false": False, "none": None}


def _read(text: str) -> Scalar:
    if text in _WORDS:
        return _WORDS[text]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _write(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool | NoneType) else str(value)


def _fits(value: Scalar, hint: Any) -> bool:
    origin = typing.get_origin(hint)
    if origin is Literal:
        return value in typing.get_args(hint)
    if origin in (Union, UnionType):
        return any(_fits(value, choice) for choice in typing.get_args(hint))
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint) if isinstance(hint, type) else True


def _describe(hint: Any) -> str:
    if typing.get_origin(hint) is Literal:
        return "one of " + ", ".join(map(str, typing.get_args(hint)))
    if typing.get_origin(hint) in (Union, UnionType):
        return " or ".join(_describe(choice) for choice in typing.get_args(hint))
    return {int: "an integer", float: "a number", bool: "true or false", NoneType: "none"}.get(hint, "a word")
