"""The flags of `i2i translate`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from i2i.cli.arguments import Imports, Quiet, Verbose


@dataclass(frozen=True)
class Flags:
    """Flags of `i2i translate`."""

    input: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="INPUT")]
    """An image, a folder (with its subfolders), a glob in quotes such as 'photos/**/*.jpg', - for stdin, or a video. A
    folder or a glob may be remote, such as s3://bucket/photos."""
    output: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="OUTPUT")]
    """A folder, also a remote one; for a single image also an image file, or - for stdout; for a video a file that ends
    in .mp4, .mov, .mkv or .webm. It may be INPUT if --format changes all file names."""
    model: str
    """A pretrained model (see: i2i models), a model file, the folder of a run, or an exported file (i2i export)."""
    to: str | None = None
    """Domain to translate to, for a model that translates both ways."""
    samples: int | None = None
    """Outputs per image, named by their seeds, for a model with a latent (bicyclegan)."""
    seed: int | None = None
    """Random seed of the latent, or of the first of --samples (default: 0)."""
    batch_size: int | None = None
    """Images or frames per batch; a batch holds images of one size (default: 8 on a GPU, 1 on a CPU)."""
    tile: int | None = None
    """Translate in tiles of this many pixels: images of any size in little memory, without seams."""
    invert_dark: bool = False
    """Invert images that are mostly dark before they are translated, such as white lines on black for a model that was
    trained on black lines."""
    format: str | None = None
    """Format of the outputs: png, jpg, webp, tif, bmp or npy (default: the format of each input)."""
    quality: int = 95
    """Quality of JPEG files and videos, from 1 to 100; the other formats are lossless."""
    smooth: float | None = None
    """Videos: how much of the frame before is blended into each, along the motion, against flicker; 0 (off) to below 1
    (default: 0.5)."""
    norm_smooth: float | None = None
    """Videos: strength of a moving average of the normalisation statistics over frames, 0 (off) to below 1; needs
    PyTorch (default: 0)."""
    max_megapixels: int = 178
    """Refuse larger images: a small file can decode to more pixels than fit in memory."""
    overwrite: bool = False
    """Overwrite existing outputs. Without it they are skipped, or refused if another model or other flags made them."""
    contact_sheet: Path | None = None
    """Also write an image that shows inputs beside their outputs."""
    device: str = "auto"
    """cpu, cuda, cuda:1 or mps; auto: a GPU if there is one."""
    backend: str = "auto"
    """What computes: torch, onnx, openvino or fastest (on a CPU, OpenVINO or ONNX Runtime if one is installed); auto:
    torch for a model file, what is installed for an exported file."""
    engine: Literal["local", "ray"] = "local"
    """Where: in this process, or with several processes or machines by Ray (pip install "i2i-toolkit[ray]")."""
    address: str | None = None
    """Address of the Ray cluster (default: RAY_ADDRESS, or this machine alone)."""
    workers: int | None = None
    """Processes that translate (default: one for each GPU or, without one, for each core)."""
    imports: Imports = ()
    """Import a module or .py file that defines the model's network. Repeatable."""
    quiet: Quiet = False
    verbose: Verbose = False
