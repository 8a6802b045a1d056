"""Write the images of a data folder into tar shards, as WebDataset lays them out, to train on data past one disk.

    python datasets/make_shards.py my_pairs shards --samples-per-shard 1000
    i2i train pix2pix shards

Images are copied as they are. Samples are shuffled, so that each shard is a random part of the data. An index is
written beside each shard, so that a remote one needs not be fetched to see what is in it.
"""

from __future__ import annotations

import random
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from output import make_folder, make_parser
from tqdm import tqdm

from i2i.data.check.layout import detect
from i2i.data.layout import Layout, Source, Split
from i2i.data.shards.images import INDEX_SUFFIX
from i2i.data.shards.index import scan
from i2i.errors import UsageError

Sample = list[tuple[str, Path]]  # the ending of each image's name, and its file


def samples_of(layout: Layout, split: Split, data: str) -> Iterator[tuple[str, list[Sample]]]:
    """The samples of a split, with the name of their shards: those of A and B apart where they aren't pairs."""
    name = split.name or "train"
    if data == "single" or layout.matched == "halves":
        yield name, [_alone(source) for source in split.b]
    elif data == "paired":
        pairs = zip(split.a, split.b, strict=True)
        yield name, [[(f".{kind}", source.path) for kind, source in zip("ab", pair, strict=True)] for pair in pairs]
    else:
        yield f"{name}A", [_alone(source) for source in split.a]
        yield f"{name}B", [_alone(source) for source in split.b]


def write_shards(folder: Path, name: str, samples: Sequence[Sample], *, per_shard: int) -> int:
    """Write samples into shards `NAME-000000.tar`, with an index beside each; returns how many shards there are."""
    starts = range(0, len(samples), per_shard)
    for number, start in enumerate(tqdm(starts, desc=name, unit="shard")):
        path = folder / f"{name}-{number:06d}.tar"
        with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
            for index, sample in enumerate(samples[start : start + per_shard], start):
                for ending, file in sample:
                    _add(tar, f"{index:09d}{ending}{file.suffix.lower()}", file)
        index_file = path.with_name(path.name + INDEX_SUFFIX)
        index_file.write_bytes(scan(path).to_json(shard_size=path.stat().st_size))
    return len(starts)


def _alone(source: Source) -> Sample:
    return [("", source.path)]


def _add(tar: tarfile.TarFile, name: str, file: Path) -> None:
    member = tarfile.TarInfo(name)  # without owner and time: the same images give the same shards
    member.size = file.stat().st_size
    with file.open("rb") as data:
        tar.addfile(member, data)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the arguments and write the shards."""
    parser = make_parser(__doc__.partition("\n\n")[0])
    parser.add_argument("data", type=Path, nargs="+", help="data folder, two folders of images, or a table of pairs")
    parser.add_argument("output", type=Path, help="folder that is written: a new one, or an empty one")
    parser.add_argument("--samples-per-shard", type=int, default=1000, help="pairs, or images, in a shard")
    parser.add_argument("--sorted", action="store_true", help="keep the order of names instead of shuffling")
    parser.add_argument("--seed", type=int, default=0, help="decides the order")
    options = parser.parse_args(arguments)
    if options.samples_per_shard < 1:
        parser.error("--samples-per-shard: expected 1 or more")
    try:
        layout, data = detect(options.data)
    except UsageError as error:
        parser.error(error.with_flags())
    splits = [split for split in (layout.train, layout.validation) if split and split.b]
    problems = [problem for split in splits for problem in split.problems]
    if problems:
        parser.error(f"{problems[0].message} (i2i check lists all)")
    make_folder(parser, options.output)
    for name, samples in (part for split in splits for part in samples_of(layout, split, data)):
        if not options.sorted:
            random.Random(f"{options.seed}/{name}").shuffle(samples)
        count = write_shards(options.output, name, samples, per_shard=options.samples_per_shard)
        print(f"{options.output}: {len(samples)} samples in {count} shards {name}-*.tar")


if __name__ == "__main__":
    main()
