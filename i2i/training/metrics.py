"""metrics.jsonl: a line of JSON per logged step."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from i2i.files import write_whole


class Metrics:
    """A run's metrics.jsonl; lines past `step` are dropped when the run resumes."""

    def __init__(self, path: Path, *, step: int) -> None:
        self.path = path
        kept = [line for line in self.read() if line["step"] <= step]
        write_whole(path, "".join(json.dumps(line) + "\n" for line in kept).encode())

    def read(self) -> list[dict[str, Any]]:
        """All lines so far; torn lines and other text are left out."""
        if not self.path.exists():
            return []
        lines = []
        for text in self.path.read_text("utf-8", "replace").splitlines():
            with contextlib.suppress(ValueError, RecursionError):
                line = json.loads(text)
                if isinstance(line, dict) and isinstance(line.get("step"), int | float):
                    lines.append(line)
        return lines

    def write(self, line: Mapping[str, Any]) -> None:
        """Add a line."""
        with self.path.open("a") as file:
            file.write(json.dumps(dict(line)) + "\n")
