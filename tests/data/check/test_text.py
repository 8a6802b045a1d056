from __future__ import annotations

from support.scenes import names, save, scene, two_folders


def test_control_characters_in_names_are_escaped(found, tmp_path):
    root = two_folders(tmp_path / "da\x1b[2Jta", 3)
    (root / "A").rename(root / "one\x1b]0;title\x07")
    (root / "B").rename(root / "two\r")
    for name in ("al\x1b[31mone\n.png", "an\x9bother.png"):
        save(root / "two\r" / name, scene(9)[0])
    text, said, findings = found(root)
    assert [letter for letter in text if not (letter.isprintable() or letter == "\n")] == []
    assert r"al\x1b[31mone\n.png" in text
    assert r"two\r" in text
    # JSON holds the names as they are.
    assert said["domains"] == ["one\x1b]0;title\x07", "two\r"]
    assert names(findings["no_partner"], root) == [["two\r/al\x1b[31mone\n.png"], ["two\r/an\x9bother.png"]]


def test_lines_fit_a_terminal_and_long_lists_are_cut(found, tmp_path):
    root = two_folders(tmp_path / "a", 12)
    for path in sorted((root / "A").iterdir())[:7]:
        path.unlink()
    text, _, findings = found(root)
    assert len(findings["no_partner"]["files"]) == 7
    assert "           and 2 more" in text.splitlines()
    lines = [line for line in text.splitlines() if str(tmp_path) not in line]
    assert max(map(len, lines)) <= 100
