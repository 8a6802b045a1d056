"""Findings about what pixels hold: channels, bit depth, transparency."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from i2i.config import DataConfig
from i2i.data.check.findings import DomainImages, Finding, counted, share_of
from i2i.errors import UsageError, setting


def check_pixels(domains: Sequence[DomainImages], channels: tuple[int, int]) -> Iterable[Finding]:
    """Find mixed channels and bit depths, and whether other channels suit the images better."""
    wanted = channels[2 - len(domains) :]
    for domain, count in zip(domains, wanted, strict=True):
        yield from _check_channels(domain, count)
        yield from _check_depths(domain)
    grey = [bool(domain.images) and all(image.grey for image in domain.images) for domain in domains]
    better = tuple(1 if is_grey and count == 3 else count for is_grey, count in zip(grey, wanted, strict=True))
    if better != wanted:
        names = " and ".join(domain.domain for domain, is_grey in zip(domains, grey, strict=True) if is_grey)
        both = better * 2 if len(better) == 1 else better
        yield Finding("all_grey", "note", f"all images of {names} are grey", f"train with {setting('channels', both)}")


def _check_channels(domain: DomainImages, wanted: int) -> Iterable[Finding]:
    counts = Counter(image.channels for image in domain.images).most_common()
    unfit = [channels for channels, _ in counts if not _fits(channels, wanted)]
    if unfit and len(counts) == 1:
        found = f"all images of {domain.domain} have {counted(unfit[0], 'channel')}"
        message = f"{found}, but {setting('channels')} asks for {wanted}"
        yield Finding("channels", "error", message, _advice(unfit[0], domain.domain))
    elif unfit:
        listed = " and ".join(f"{number} of {counted(channels, 'channel')}" for channels, number in counts)
        files = domain.files(
            lambda image: image.channels != counts[0][0], detail=lambda image: counted(image.channels, "channel")
        )
        message = f"{domain.domain} mixes images: {listed}"
        yield Finding("channel_mix", "error", message, "save all of them with the same channels", files)
    elif len(counts) > 1 and wanted == 3 and not all(image.grey for image in domain.images):
        rare, number = counts[-1]
        kind = "grey, the others in colour" if rare == 1 else "in colour, the others grey"
        message = f"{share_of(number, len(domain.images), f' of {domain.domain}')} {kind}"
        files = domain.files(lambda image: image.channels == rare)
        yield Finding("grey_mix", "warning", message, "remove them, unless you want both", files)
    transparent = domain.files(lambda image: image.transparent)
    if transparent and wanted in (1, 3):
        share = share_of(len(transparent), len(domain.images), f" of {domain.domain}")
        message = f"{share} partly transparent; training ignores transparency"
        yield Finding("transparent", "warning", message, "put them on a background first", transparent)


def _fits(channels: int, wanted: int) -> bool:
    """Whether an image can be converted: grey and colour into each other, with an alpha channel for 2 and 4."""
    return channels == wanted or (channels in (1, 3) and wanted in (1, 2, 3, 4))


def _advice(channels: int, domain: str) -> str:
    try:
        DataConfig(channels=(channels, channels))
    except UsageError:  # training can't take so many
        return "save them with 1 (grey) or 3 (colour) channels"
    return f"set {setting('channels')} to {channels} for {domain}"


def _check_depths(domain: DomainImages) -> Iterable[Finding]:
    bits = Counter(image.bits for image in domain.images).most_common()
    if len(bits) > 1:
        message = f"{domain.domain} mixes images: " + " and ".join(
            f"{number} of {depth} bits" for depth, number in bits
        )
        files = domain.files(lambda image: image.bits != bits[0][0], detail=lambda image: f"{image.bits} bits")
        yield Finding("depth_mix", "warning", message, "save all of them with the same depth", files)
    highest = [image.highest for image in domain.images if image.bits > 8]
    if highest and max(highest) < 1 / 8:
        message = (
            f"the 16-bit or float images of {domain.domain} are almost black: their values reach {max(highest):.1%} of "
            "white"
        )
        advice = "multiply all of them by the same factor, so that they fill the range"
        yield Finding("dark", "warning", message, advice, domain.files(lambda image: image.bits > 8))
