"""Names of video files."""

from __future__ import annotations

from pathlib import Path

WRITABLE = (".mp4", ".m4v", ".mov", ".mkv", ".webm")
READABLE = (*WRITABLE, ".avi", ".mpg", ".mpeg", ".m2ts", ".mts", ".ts", ".wmv", ".flv", ".3gp", ".ogv", ".mxf")


def is_video_name(path: str | Path) -> bool:
    """Whether a name has the suffix of a video."""
    return Path(path).suffix.lower() in READABLE


def writable_in_words() -> str:
    """The suffixes that can be written: `.mp4, .m4v, .mov, .mkv or .webm`."""
    *others, last = WRITABLE
    return f"{', '.join(others)} or {last}"
