from __future__ import annotations

import pytest

from i2i.report.run_folder import read_run
from i2i.report.tables import data_facts, network_facts, scored_images, scores, settings
from support.report import CONFIG, DISTANCES, LINES, SCORES, SUMMARY, make_run, page_of


def score_values(folder):
    return {row.score.title: (row.last, row.best, row.step) for row in scores(read_run(folder))}


def test_scores_have_their_last_and_their_best_value(tmp_path):
    folder = make_run(tmp_path, lines=LINES + SCORES)
    assert score_values(folder) == {"L1": (28.0, 25.0, 200), "PSNR": (15.0, 15.5, 200)}
    page = page_of(folder)
    assert "best step200" in page.text["header"]
    assert "On 50 held-out pairs." in page.text["scores"]
    assert "L1 0 to 255, lower is better2825200" in page.text["scores"]


@pytest.mark.parametrize("name", ["l1", "validation/l1"])
def test_the_best_score_of_the_summary_takes_precedence(tmp_path, name):
    folder = make_run(tmp_path, lines=LINES + SCORES, summary={"best": {"step": 100, "score": name, "value": 7.5}})
    assert score_values(folder) == {"L1": (28.0, 7.5, 100), "PSNR": (15.0, 15.5, 200)}
    assert "best step100" in page_of(folder).text["header"]


def test_directions_intervals_and_the_score_that_chooses_the_best_model_are_in_the_table(tmp_path):
    best = {"step": 200, "score": "kernel_distance_my_net", "value": 0.4}
    folder = make_run(tmp_path, lines=DISTANCES, summary={"best": best})
    mean, forth, back = scores(read_run(folder))
    assert [row.score.direction for row in (mean, forth, back)] == ["mean", "map → sat", "sat → map"]
    assert (mean.last, mean.best, mean.step, mean.interval) == (pytest.approx(0.45), 0.4, 200, None)
    assert (forth.last, forth.best, forth.step) == (0.3, 0.3, 300)
    assert forth.interval == pytest.approx((0.2, 0.5))
    assert [row.chosen_by for row in (mean, forth, back)] == [True, False, False]
    text = page_of(folder).text["scores"]
    assert text.count("best.safetensors is chosen by this") == 1
    assert "mean features of my net, lower is better best.safetensors is chosen by this0.450.4200" in text
    assert "Kernel distance, sat → map features of my net, lower is better0.6 (0.3 to 1)0.4200" in text


@pytest.mark.parametrize(
    ("lines", "maps", "held_out", "expected"),
    [
        (SCORES, "a2b", 50, "50 held-out pairs"),
        (DISTANCES, "a2b", 50, "50 held-out images of each domain"),
        (DISTANCES, "z2b", 50, "50 held-out images"),
        (DISTANCES, "z2b", 0, "50 training images"),
        (LINES, "a2b", 50, ""),
    ],
)
def test_the_table_says_which_images_are_scored(lines, maps, held_out, expected, tmp_path):
    folder = make_run(tmp_path, lines=lines, summary={"maps": {maps: "unet"}, "held_out_images": held_out})
    assert scored_images(read_run(folder)) == expected


def test_data_and_networks(full):
    run = read_run(full)
    assert data_facts(run) == {
        "Domains": "map → sat",
        "Layout": "pairs side by side",
        "Training images": "1,096",
        "Held-out images": "50",
        "Folders": "data/maps",
    }
    assert network_facts(run) == {"map → sat": "unet:depth=7,width=64\n13.6 M parameters"}
    page = page_of(full)
    assert "unet:depth=7,width=64\n13.6 M parameters" in page.text["networks"]
    assert "Layoutpairs side by side" in page.text["data"]


def test_networks_without_a_summary_are_those_of_the_settings(tmp_path):
    config = CONFIG | {"train": {"generator": "unet", "discriminator": "patchgan"}}
    run = read_run(make_run(tmp_path, config=config, summary={"device": "cpu", "processes": 2}))
    facts = {"Generator": "unet", "Discriminator": "patchgan", "Device": "cpu", "Processes": "2"}
    assert network_facts(run) == facts


def test_a_latent_and_unknown_directions_are_named(tmp_path):
    summary = SUMMARY | {"maps": {"z2b": "dcgan", "x2y": "mlp"}}
    assert list(network_facts(read_run(make_run(tmp_path, summary=summary)))) == ["latent → sat", "x2y"]


DEFAULTS = {"options": {"l1_weight": 10.0}, "data": CONFIG["data"] | {"load_size": 286}, "train": CONFIG["train"]}


def test_settings_that_differ_from_the_methods_defaults_come_first(tmp_path):
    folder = make_run(tmp_path, summary={"defaults": DEFAULTS})
    changed = settings(read_run(folder)).changed
    assert changed == [("--l1-weight", 100.0, 10.0), ("--load-size", None, 286)]
    text = page_of(folder).text["settings"]
    first, rest = text.split("pix2pix options")
    assert "--l1-weight100.010.0" in first
    assert "--load-sizenot set286" in first
    assert "--image-size" not in first
    assert "--image-size128" in rest
    assert "--augmentflip" in rest


def test_settings_that_are_all_defaults_are_labelled_so(tmp_path):
    defaults = {key: CONFIG[key] for key in ("options", "data", "train")}
    text = page_of(make_run(tmp_path, summary={"defaults": defaults})).text["settings"]
    assert "All settings have their default values." in text


def test_without_known_defaults_settings_are_only_listed(tmp_path):
    text = page_of(make_run(tmp_path)).text["settings"]
    assert "default" not in text
    assert "--l1-weight100.0" in text
