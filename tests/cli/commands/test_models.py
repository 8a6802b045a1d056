from PIL import Image

from i2i.cli import main
from i2i.model_file import read_header
from i2i.pretrained import folder, pretrained


def test_each_model_is_listed_with_direction_size_licence_scores_and_thumbnail(capsys):
    assert main(["models"]) == 0
    header, *rows, _ = capsys.readouterr().out.splitlines()
    assert " ".join(header.split()) == "name direction size licence scores on held-out images thumbnail"
    assert len(rows) == len(pretrained())
    for row, (name, entry) in zip(rows, pretrained().items(), strict=True):
        size = f"{entry.file.stat().st_size / 1e6:.1f} MB"
        cells = [name, entry.direction, size, entry.licence, entry.scores, str(entry.thumbnail)]
        assert [cell.strip() for cell in row.split("  ") if cell.strip()] == cells


def test_what_the_index_says_of_a_model_is_true():
    for name, entry in pretrained().items():
        header = read_header(entry.file)
        directions = {"a2b": "{0} -> {1}", "b2a": "{1} -> {0}", "z2b": "latent -> {1}"}
        assert entry.direction in [directions[key].format(*header["domains"]) for key in header["maps"] if key != "b2z"]
        assert all((entry.description, entry.licence, entry.scores))
        with Image.open(entry.thumbnail) as thumbnail:
            thumbnail.load()
        assert entry.thumbnail.stat().st_size < 200_000
        assert f"# {name}" in (folder() / f"{name}.md").read_text()
        assert entry.file.stat().st_size <= 24e6
