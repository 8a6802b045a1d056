from __future__ import annotations

from pathlib import Path

import pytest

from i2i.inference.chunks import convert_in_chunks, in_this_process
from i2i.inference.folder import ConvertOptions, convert
from i2i.inference.planning import Job, plan
from i2i.inference.record import Record
from support.images import Same, put, translator


def jobs_of(root: Path, count: int, output: str) -> list[Job]:
    for number in range(count):
        put(root / "in", f"{number:02}.png", level=10 * number)
    return plan(str(root / "in"), root / output)


@pytest.mark.parametrize("chunk", [1, 4, 100])
def test_chunks_give_what_one_conversion_gives(chunk: int, tmp_path: Path) -> None:
    whole, parts = jobs_of(tmp_path, 10, "whole"), jobs_of(tmp_path, 10, "parts")
    (tmp_path / "in" / "05.png").write_bytes(b"no image")
    expected = convert(whole, translator(Same()), record=tmp_path / "whole", progress=False)
    model = translator(Same())
    result = convert_in_chunks(
        parts,
        model,
        ConvertOptions(),
        engine=in_this_process(model),
        record=tmp_path / "parts",
        chunk=chunk,
        progress=False,
    )
    assert [job.source for job in result.written] == [job.source for job in expected.written]
    assert result.failed == expected.failed
    for job in expected.written:
        assert (tmp_path / "parts" / job.target.name).read_bytes() == job.target.read_bytes()
    record = Record.read(tmp_path / "parts")
    assert all(job.target in record for job in result.written)


def test_only_what_is_pending_is_translated(tmp_path: Path) -> None:
    jobs, model = jobs_of(tmp_path, 6, "out"), translator(Same())
    first = {"engine": in_this_process(model), "record": tmp_path / "out", "progress": False, "chunk": 4}
    convert_in_chunks(jobs, model, ConvertOptions(), **first)
    jobs[2].target.unlink()
    put(tmp_path / "in", "04.png", level=200)
    result = convert_in_chunks(jobs, model, ConvertOptions(), **first)
    assert [job.source.name for job in result.written] == ["02.png", "04.png"]
    assert (len(result.skipped), len(result.changed)) == (4, 1)


def test_what_ends_a_chunk_ends_the_conversion(tmp_path: Path) -> None:
    jobs, model = jobs_of(tmp_path, 6, "out"), translator(Same())

    def engine(task, chunks):
        for chunk in chunks:
            result = next(in_this_process(model)(task, [chunk]))
            if chunk[0].source.name == "02.png":
                result.stopped = "can't write out: No space left on device"
            yield result

    result = convert_in_chunks(jobs, model, ConvertOptions(), engine=engine, chunk=2, progress=False)
    assert result.stopped
    assert [job.source.name for job in result.undone] == ["04.png", "05.png"]
