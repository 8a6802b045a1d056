"""Findings on what pixels hold: channels, depth, transparency."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from i2i.config import DataConfig
from i2i.data.check.findings import DomainImages, Finding, counted, share
from i2i.errors import UsageError


def of_levels(columns: Sequence[DomainImages], channels: tuple[int, int]) -> Iterable[Finding]:
    """Mixes of channels and of depths, and what --channels should be."""
    wanted = channels[2 - len(columns) :]
    for column, asked in zip(columns, wanted, strict=True):
        yield from _channels(column, asked)
        yield from _depths(column)
    grey = [bool(column.looks) and all(look.grey for look in column.looks) for column in columns]
    give = [1 if one and asked == 3 else asked for one, asked in zip(grey, wanted, strict=True)]
    if give != list(wanted):
        names = " and ".join(column.domain for column, one in zip(columns, grey, strict=True) if one)
        flag = " ".join(map(str, give * 2 if len(give) == 1 else give))
        yield Finding("all_grey", "note", f"all images of {names} are grey", f"give --channels {flag}")


def _channels(column: DomainImages, asked: int) -> Iterable[Finding]:
    kinds = Counter(look.channels for look in column.looks).most_common()
    said = " and ".join(f"{number} of {counted(given, 'channel')}" for given, number in kinds)
    unfit = [given for given, _ in kinds if not _fits(given, asked)]
    if unfit and len(kinds) == 1:
        says = f"all images of {column.domain} have {counted(unfit[0], 'channel')}, but --channels asks for {asked}"
        yield Finding("channels", "error", says, _advice(unfit[0], column.domain))
    elif unfit:
        rare = column.files(lambda look: look.channels != kinds[0][0], lambda look: counted(look.channels, "channel"))
        yield Finding("channel_mix", "error", f"{column.domain} mixes {said}", "save all of them alike", rare)
    elif len(kinds) > 1 and asked == 3 and not all(look.grey for look in column.looks):
        few, number = kinds[-1]
        what = "grey among colour ones" if few == 1 else "in colour among grey ones"
        says = f"{share(number, len(column.looks), f' of {column.domain}')} {what}"
        rare = column.files(lambda look: look.channels == few)
        yield Finding("grey_mix", "warning", says, "remove them, unless you want both", rare)
    clear = column.files(lambda look: look.transparent)
    if clear and asked in (1, 3):
        images = share(len(clear), len(column.looks), f" of {column.domain}")
        says = f"{images} partly transparent, which training leaves out"
        yield Finding("transparent", "warning", says, "lay them on a background first", clear)


def _advice(given: int, domain: str) -> str:
    try:
        DataConfig(channels=(given, given))
    except UsageError:  # which says what training takes
        return "save them with 1 (grey) or 3 (colour) channels, which training takes"
    return f"give --channels with {given} for {domain}"


def _fits(given: int, asked: int) -> bool:
    """Whether an image of so many channels becomes one of those asked for: grey or colour, with alpha in 2 and 4."""
    return given == asked or (given in (1, 3) and asked in (1, 2, 3, 4))


def _depths(column: DomainImages) -> Iterable[Finding]:
    bits = Counter(look.bits for look in column.looks).most_common()
    if len(bits) > 1:
        says = f"{column.domain} mixes " + " and ".join(f"{number} of {depth} bits" for depth, number in bits)
        rare = column.files(lambda look: look.bits != bits[0][0], lambda look: f"{look.bits} bits")
        yield Finding("depth_mix", "warning", says, "save all of them at one depth", rare)
    deep = [look.highest for look in column.looks if look.bits > 8]
    if deep and max(deep) < 1 / 8:
        says = f"deep images of {column.domain} are almost black: their levels reach {max(deep):.1%} of white"
        do = "scale all of them to the whole range by one factor"
        yield Finding("dark", "warning", says, do, column.files(lambda look: look.bits > 8))
