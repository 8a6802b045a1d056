"""Publish a run's model in this folder: `python pretrained/publish.py RUN NAME "what it does"`.

Weights are stored in half precision, which halves the file size, and are loaded as float32. The file's SHA-256 goes
into index.json; i2i checks it when it loads the model by name. Write the model card, NAME.md, by hand.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import torch

from i2i.files import write_whole
from i2i.model_file import load_model, save_model
from i2i.pretrained import model_file

FOLDER = Path(__file__).parent


def main() -> None:
    """Parse the arguments and publish the model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="run folder or model file")
    parser.add_argument("name", help="name of the model, such as map2sat")
    parser.add_argument("description", help="what the model does, in a few words")
    args = parser.parse_args()
    file = FOLDER / f"{args.name}.safetensors"
    save_model(file, load_model(model_file(args.run)), dtype=torch.float16)
    index = FOLDER / "index.json"
    entries = json.loads(index.read_text()) if index.exists() else {}
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    entries[args.name] = {"file": file.name, "sha256": digest, "description": args.description}
    write_whole(index, (json.dumps(dict(sorted(entries.items())), indent=2) + "\n").encode())
    print(f"{file}: {file.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
