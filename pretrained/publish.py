"""Publish a run's model in this folder, with its line in `i2i models`.

    python pretrained/publish.py RUN NAME "what it does" --scores scores.json --examples IMAGE IMAGE IMAGE

Weights are stored in half precision, which halves the file size, and are loaded as float32. The file's SHA-256 goes
into index.json; i2i checks it when it loads the model by name. `--scores` is what `i2i evaluate --json` wrote. Write
the model card, NAME.md, by hand.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

import torch
from PIL import Image, ImageOps

from i2i import Sampler, Translator
from i2i.files import sha256_of, write_whole
from i2i.model_file import load_model, save_model
from i2i.pretrained import model_file

FOLDER = Path(__file__).parent
SIDE = 160  # pixels of an image in a thumbnail
SHOWN = {"l1": "L1 {:.1f}", "ssim": "SSIM {:.3f}", "kernel_distance_efficientnet_lite0": "kernel distance {:.3f}"}


def main() -> None:
    """Parse the arguments and publish the model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="run folder or model file")
    parser.add_argument("name", help="name of the model, such as map2sat")
    parser.add_argument("description", help="what the model does, in a few words")
    parser.add_argument("--to", help="domain to translate to, of a model that has two directions")
    parser.add_argument("--domains", nargs=2, help="their names, where those of the run are names of folders")
    parser.add_argument("--licence", default="research only", help="what the weights may be used for")
    parser.add_argument("--scores", type=Path, help="JSON file of i2i evaluate")
    parser.add_argument("--in-short", help="scores in a line, of a model that i2i evaluate doesn't score")
    parser.add_argument("--examples", type=Path, nargs="+", help="inputs of the thumbnail; of a translator only")
    args = parser.parse_args()
    file, thumbnail = FOLDER / f"{args.name}.safetensors", FOLDER / f"{args.name}.jpg"
    model = load_model(model_file(args.run))
    if args.to:
        direction = "a2b" if args.to == model.domains[1] else "b2a"
        model = dataclasses.replace(model, generators={direction: model.generators[direction]})
    if args.domains:
        model = dataclasses.replace(model, domains=tuple(args.domains))
    save_model(file, model, dtype=torch.float16)
    if "z2b" in model.generators:
        write_samples(thumbnail, Sampler.load(file))
        direction = f"latent -> {model.domains[1]}"
    else:
        translator = Translator.load(file)
        write_thumbnail(thumbnail, translator, args.examples)
        direction = " -> ".join(translator.domains)
    index = FOLDER / "index.json"
    entries = json.loads(index.read_text()) if index.exists() else {}
    palette = entries.get(args.name, {}).get("palette")  # written by hand, and kept
    entries[args.name] = {
        "file": file.name,
        "sha256": sha256_of(file),
        "description": args.description,
        "direction": direction,
        "licence": args.licence,
        "scores": args.in_short or (in_short(json.loads(args.scores.read_text())) if args.scores else ""),
        "thumbnail": thumbnail.name,
        **({"palette": palette} if palette else {}),
    }
    write_whole(index, (json.dumps(dict(sorted(entries.items())), indent=2) + "\n").encode())
    print(f"{file}: {file.stat().st_size / 1e6:.1f} MB")


def in_short(report: dict[str, dict[str, dict[str, float]]]) -> str:
    """A few scores in a line: "L1 34.9, SSIM 0.207 (n = 200)"."""
    scores = report["scores"]
    return f"{', '.join(text.format(scores[name]['value']) for name, text in SHOWN.items() if name in scores)} " + (
        f"(n = {report['n']})"
    )


def write_thumbnail(path: Path, translator: Translator, examples: list[Path]) -> None:
    """Write a JPEG of the examples above their translations."""
    sheet = Image.new("RGB", (SIDE * len(examples), 2 * SIDE))
    for column, example in enumerate(examples):
        with Image.open(example) as image:
            given = ImageOps.fit(image.convert("RGB"), (translator.image_size, translator.image_size))
        for row, shown in enumerate((given, translator(given))):
            sheet.paste(
                shown.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS), (SIDE * column, SIDE * row)
            )
    write_whole(path, lambda temporary: sheet.save(temporary, "JPEG", quality=88))


def write_samples(path: Path, sampler: Sampler) -> None:
    """Write a JPEG of eight generated images, in two rows."""
    sheet = Image.new("RGB", (SIDE * 4, SIDE * 2))
    for number, image in enumerate(sampler(8)):
        shown = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        sheet.paste(shown, (SIDE * (number % 4), SIDE * (number // 4)))
    write_whole(path, lambda temporary: sheet.save(temporary, "JPEG", quality=88))


if __name__ == "__main__":
    main()
