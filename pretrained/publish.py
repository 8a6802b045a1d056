"""Put a run's model into this folder: `python pretrained/publish.py RUN NAME "what it does"`.

Weights are stored in half precision, which halves the file; they are read back into float32. The index gets the
file's SHA-256 sum, which i2i compares when it loads the model by name. Write the model's card, NAME.md, beside it.
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
    """Read the arguments and publish."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="a run's folder or a model file")
    parser.add_argument("name", help="such as map2sat")
    parser.add_argument("description", help="what it does, in a few words")
    given = parser.parse_args()
    file = FOLDER / f"{given.name}.safetensors"
    save_model(file, load_model(model_file(given.run)), dtype=torch.float16)
    index = FOLDER / "index.json"
    entries = json.loads(index.read_text()) if index.exists() else {}
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    entries[given.name] = {"file": file.name, "sha256": digest, "description": given.description}
    write_whole(index, (json.dumps(dict(sorted(entries.items())), indent=2) + "\n").encode())
    print(f"{file}: {file.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
