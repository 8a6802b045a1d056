from __future__ import annotations

from i2i.model_file.card import model_card

HEADER = {
    "format": "i2i-model/1",
    "made_by": "i2i-toolkit 0.1.0",
    "maps": {"a2b": "resnet:blocks=6", "b2a": "resnet:blocks=6"},
    "domains": ("horse", "zebra"),
    "preprocess": {"image_size": 128, "channels": [3, 3], "depths": [8, 16]},
    "config": {"method": "cyclegan", "options": {"cycle_weight": 10.0}, "train": {"lr": 0.0002, "device": "cuda"}},
    "step": 400,
}


def test_a_card_says_what_the_header_says() -> None:
    card = model_card(HEADER, name="me/zebras", size=1_500_000, licence="mit")
    for line in (
        'license: "mit"',
        'tags: ["i2i", "cyclegan", "gan"]',
        "# zebras",
        "Image-to-image translation: horse to zebra, and back, by cyclegan.",
        "| zebra -> horse | `resnet:blocks=6` |",
        "| Images | trained at 128 px; any size can be translated |",
        "| Channels and bits | 3 x 8 bit to 3 x 16 bit |",
        "| Method | cycle_weight 10.0 |",
        "| Optimizer | lr 0.0002 |",
        "| File | 1.5 MB, i2i-model/1, made by i2i-toolkit 0.1.0 |",
        "i2i translate INPUT OUTPUT --model hf://me/zebras --to zebra",
        'translator = Translator.from_pretrained("me/zebras", to="zebra")',
    ):
        assert line in card.splitlines(), line


def test_text_of_a_hostile_header_stays_text() -> None:
    hostile = HEADER | {"domains": ("a|b", "<script>\n# title"), "made_by": "x | y\n---\nlicense: mit"}
    card = model_card(hostile, name="me/zebras", size=1)
    assert "<script>" not in card.replace(r"\<script\>", "").partition("## Use it")[0]
    assert len([line for line in card.splitlines() if line == "---"]) == 2
    assert not [line for line in card.splitlines() if line.startswith(("# title", "license"))]
