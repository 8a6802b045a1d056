"""The header of a model file, its validation, and the direction that it names."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from i2i.config import MOST_CHANNELS
from i2i.errors import UsageError, unknown

CHECKSUM = "checksum"
_JSON = ("maps", "modules", "domains", "preprocess", "config", "step")
_MAX_LENGTH = 2**20  # characters of an entry
_MAX_DEPTH = 16  # nested objects
MAX_SIZE = 2**16  # pixels


class _Rule(NamedTuple):
    """What an entry of the header, or a key of an entry, must be."""

    entry: str
    key: str | None
    fits: Callable[[Any], bool]
    expected: str


def decode(metadata: Mapping[str, str]) -> dict[str, Any]:
    """Parse and validate the header of a model file.

    Raises:
        ValueError: an entry is missing or unknown, isn't JSON, or has a wrong type or value; the message names it.
    """
    header: dict[str, Any] = dict(metadata)
    if unknown := header.keys() - {"format", "made_by", CHECKSUM, *_JSON}:  # perhaps a damaged name
        raise ValueError(f"its header has an unknown entry {_shortened(min(unknown))}")
    for entry in ("made_by", *_JSON):
        if entry not in header:
            raise ValueError(f"its header has no {entry!r}")
        if len(header[entry]) > (_MAX_LENGTH if entry in _JSON else 200):
            raise ValueError(f"{entry!r} in its header has {len(header[entry])} characters")
    for entry in _JSON:
        try:
            header[entry] = json.loads(header[entry])
        except (ValueError, RecursionError):  # deep nesting overflows the parser's stack
            raise ValueError(f"{entry!r} in its header is not JSON that can be read") from None
        if _too_deep(header[entry]):
            raise ValueError(f"{entry!r} in its header is nested more than {_MAX_DEPTH} deep")
    for rule in _RULES:
        value = header[rule.entry] if rule.key is None else header[rule.entry].get(rule.key, _DEFAULTS.get(rule.key))
        if not rule.fits(value):
            where = rule.entry if rule.key is None else f"{rule.entry}.{rule.key}"
            raise ValueError(f"{where} in its header is {_shortened(value)}; expected {rule.expected}")
    header["domains"] = tuple(header["domains"])
    return header


def _too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(_MAX_DEPTH):
        level = [child for parent in level for child in _children(parent)]
    return bool(level)


def _children(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []


def _shortened(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 1000


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_whole(value: Any, most: int, least: int = 1) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _are_maps(value: Any) -> bool:
    known = {"a2b", "b2a", "z2b", "b2z"}
    return _is_object(value) and bool(value) and value.keys() <= known and _are_texts([*value.values()])


_DEFAULTS: dict[str, Any] = {  # of keys that a file may lack
    "image_size": 256,
    "channels": [3, 3],
    "depths": [8, 8],
    "classes": [],
    "method": "",
    "paths": [],
    "data": {},
}
_RULES = (
    _Rule("maps", None, _are_maps, 'the network of each direction, such as {"a2b": "unet:depth=8"}'),
    _Rule("modules", None, lambda v: _is_object(v) and _are_texts([*v.values()]), "the module of each network"),
    _Rule("domains", None, lambda v: _are_texts(v) and len(v) == 2, "two names"),
    _Rule("preprocess", None, _is_object, "an object"),
    _Rule(
        "preprocess",
        "image_size",
        lambda v: _is_whole(v, MAX_SIZE),
        f"an integer from 1 to {MAX_SIZE}",
    ),
    _Rule(
        "preprocess",
        "channels",
        lambda v: isinstance(v, list) and len(v) == 2 and all(_is_whole(count, MOST_CHANNELS) for count in v),
        f"two integers from 1 to {MOST_CHANNELS}",
    ),
    _Rule(
        "preprocess",
        "depths",
        lambda v: isinstance(v, list) and len(v) == 2 and all(_is_whole(bits, 64) for bits in v),
        "the bits of two domains, such as [8, 16]",
    ),
    _Rule("preprocess", "classes", _are_texts, "a list of names"),
    _Rule("config", None, _is_object, "an object"),
    _Rule("config", "method", _is_text, "a name"),
    _Rule("config", "paths", _are_texts, "a list of paths"),
    _Rule("config", "data", _is_object, "an object"),
    _Rule("step", None, lambda v: _is_whole(v, 2**63, 0), "an integer, 0 or more"),
)


def find_direction(directions: Iterable[str], domains: tuple[str, str], to: str | None) -> str:
    """The direction that translates to a domain; the first one unless a domain is named.

    Raises:
        UsageError: no direction translates to it, or the model doesn't translate at all.
    """
    targets = {"a2b": domains[1], "b2a": domains[0]}
    by_target = {targets[direction]: direction for direction in directions if direction in targets}
    if not by_target:
        raise UsageError("this model generates images from a latent; use Sampler, or: i2i sample MODEL OUT")
    target = to or next(iter(by_target))
    if target not in by_target:
        raise unknown("domain to translate to", target, by_target)
    return by_target[target]
