"""The card of a model that is shared: what its header says, in Markdown for the Hugging Face Hub."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

_MADE = "<!-- Made from the model's header by i2i; remove this line to keep the card as it is. -->"
_OPTIMIZER = ("batch_size", "lr", "betas", "schedule", "ema_decay", "precision", "seed")


def is_card(content: bytes) -> bool:
    """Whether a card was made here, rather than by hand."""
    return _MADE.encode() in content


def model_card(header: Mapping[str, Any], *, name: str | None, size: int, licence: str | None = None) -> str:
    """A model card, with the metadata that the Hub reads at its head.

    Args:
        header: of the model file; see `read_header`.
        name: of the model: `USER/NAME` on the Hub; None where that isn't known yet.
        size: bytes of the file.
        licence: an identifier that the Hub knows, such as `mit`; none unless given.
    """
    method = str(header["config"].get("method", ""))
    generates = "z2b" in header["maps"]
    metadata = {
        "library_name": "i2i-toolkit",
        "pipeline_tag": "unconditional-image-generation" if generates else "image-to-image",
        "tags": ["i2i", *([method] if method else []), "gan"],
        **({"license": licence} if licence else {}),
    }
    lines = ["---", *(f"{key}: {json.dumps(value)}" for key, value in metadata.items()), "---", ""]
    a, b = header["domains"]
    title = name.rpartition("/")[2] if name else _text(b if generates else f"{a} to {b}")
    lines += [f"# {title}", "", _about(header, method), ""]
    lines += ["| | |", "|---|---|", *_rows(header, size), ""]
    lines += ["## Use it", "", *_usage(header, name or "USER/NAME", generates), "", _MADE, ""]
    return "\n".join(lines)


def _about(header: Mapping[str, Any], method: str) -> str:
    a, b = header["domains"]
    if "z2b" in header["maps"]:
        return f"Generates images of {_text(b)}."
    both = len(header["maps"]) > 1
    arrow = f"{_text(a)} to {_text(b)}{', and back' if both else ''}"
    return f"Image-to-image translation: {arrow}{f', by {_text(method)}' if method else ''}."


def _rows(header: Mapping[str, Any], size: int) -> Iterator[str]:
    a, b = map(_text, header["domains"])
    config, preprocess = header["config"], header["preprocess"]
    arrows = {"a2b": f"{a} -> {b}", "b2a": f"{b} -> {a}", "z2b": f"latent -> {b}", "b2z": f"{b} -> latent"}
    for direction, spec in header["maps"].items():
        yield f"| {arrows[direction]} | `{_text(spec)}` |"
    channels, depths = preprocess.get("channels", [3, 3]), preprocess.get("depths", [8, 8])
    yield f"| Images | trained at {preprocess.get('image_size', 256)} px; any size can be translated |"
    yield f"| Channels and bits | {channels[0]} x {depths[0]} bit to {channels[1]} x {depths[1]} bit |"
    yield f"| Training | {header['step']} steps |"
    for title, part in (("Method", config.get("options")), ("Optimizer", config.get("train"))):
        known = part if isinstance(part, Mapping) else {}
        shown = [f"{k} {_value(v)}" for k, v in known.items() if title == "Method" or k in _OPTIMIZER]
        if shown:
            yield f"| {title} | {', '.join(shown)} |"
    yield f"| File | {size / 1e6:.1f} MB, {_text(header['format'])}, made by {_text(header['made_by'])} |"


def _usage(header: Mapping[str, Any], name: str, generates: bool) -> list[str]:
    model = f"hf://{name}"
    if generates:
        code = ["from i2i import Sampler", "", f'images = Sampler.load("{model}")(8, seed=0)']
        command = f"i2i sample {model} samples.png"
    else:
        domain = " ".join(header["domains"][1].split()) if len(header["maps"]) > 1 else ""
        to = f", to={json.dumps(domain)}" if domain else ""
        code = ["from i2i import Translator", "", f'translator = Translator.from_pretrained("{name}"{to})']
        code += ['photo = translator("input.png")']
        command = f"i2i translate INPUT OUTPUT --model {model}" + (f" --to {shlex.quote(domain)}" if domain else "")
    install = 'pip install "i2i-toolkit[hub]"'
    return ["```sh", install, command, "```", "", "```python", *code, "```"]


def _value(value: Any) -> str:
    return _text(value if isinstance(value, str) else json.dumps(value))


def _text(value: str) -> str:
    """Text of a header, which anybody may have written, as plain text in a table of Markdown."""
    return "".join(f"\\{char}" if char in "|<>[]*`\\" else char for char in " ".join(value.split()))
