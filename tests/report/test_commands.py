from __future__ import annotations

import pytest

from i2i.report.commands import commands
from i2i.report.run_folder import read_run
from support.report import CONFIG, LINES, SUMMARY, make_run, page_of


def commands_of(folder):
    return dict(commands(read_run(folder)))


def test_commands_name_the_run_and_its_data(full):
    assert commands_of(full) == {
        "Translate an image, a folder or a glob": f"i2i translate INPUT OUTPUT --model {full}",
        "In Python": f"from i2i import translate\ntranslated = translate(image, '{full}')",
        "Evaluate on held-out images": f"i2i evaluate {full} data/maps",
        # Even while it runs: the machine may be lost without notice.
        "Resume this run": f"i2i train pix2pix data/maps --run {full} --resume",
        "Train again with these settings": "i2i train pix2pix data/maps --steps 400",
    }


def test_the_page_shows_each_command_exactly_with_a_button_to_copy_it(full):
    config = CONFIG | {"paths": ["my  maps", "a\nb"]}
    page = page_of(make_run(full, lines=LINES, config=config, summary=SUMMARY))
    texts = commands_of(full).values()
    assert all(text in page.text["code"] for text in texts)
    assert sum("copy" in (a.get("class") or "") for a in page.of("button")) == len(texts)


def test_a_stopped_run_can_be_resumed(tmp_path):
    folder = make_run(tmp_path / "a run", lines=LINES, summary={"state": "stopped"})
    command = f"i2i train pix2pix data/maps --run '{tmp_path}/a run' --resume"
    assert commands_of(folder)["Resume this run"] == command


def test_the_summarys_own_command_to_resume_is_preferred(tmp_path):
    command = "torchrun -m i2i train pix2pix data/maps --run x --resume"
    found = commands_of(make_run(tmp_path, lines=LINES, summary={"state": "stopped", "command": command}))
    assert [text for text in found.values() if "--resume" in text] == [command]


def test_the_training_command_is_rebuilt_from_the_methods_defaults(tmp_path):
    defaults = {
        "options": {"l1_weight": 50.0, "flipped": True},
        "data": {"image_size": 128, "augment": [], "load_size": 286, "labels": False, "domains": None},
        "train": CONFIG["train"],
    }
    config = CONFIG | {
        "options": {"l1_weight": 100.0, "flipped": False},
        "data": CONFIG["data"] | {"labels": True},
        "paths": ["my maps"],
        "plugins": ["own.py"],
    }
    found = commands_of(make_run(tmp_path, lines=LINES, config=config, summary={"defaults": defaults}))
    flags = "--l1-weight 100.0 --no-flipped --augment flip --domains map sat --labels --import own.py"
    assert found["Train again with these settings"] == f"i2i train pix2pix 'my maps' {flags}"


def test_the_best_model_is_offered_if_the_file_is_there(full):
    title = "Translate with the best model in validation"
    assert title not in commands_of(full)
    (full / "best.safetensors").touch()
    assert commands_of(full)[title].endswith(f"--model {full}/best.safetensors")


@pytest.mark.parametrize("method", ["cyclegan", "some_plugin"])
def test_a_run_with_generators_both_ways_translates_both_ways(tmp_path, method):
    summary = SUMMARY | {"maps": {"a2b": "resnet", "b2a": "resnet"}}
    found = commands_of(make_run(tmp_path, config=CONFIG | {"method": method}, summary=summary))
    for domain in ("sat", "map"):
        assert found[f"Translate to {domain}"] == f"i2i translate INPUT OUTPUT --model {tmp_path} --to {domain}"


@pytest.mark.parametrize("method", ["gan", "some_plugin"])
def test_a_run_that_generates_from_noise_is_sampled(tmp_path, method):
    found = commands_of(make_run(tmp_path, config=CONFIG | {"method": method}, summary={"maps": {"z2b": "dcgan"}}))
    assert found["Sample images"] == f"i2i sample {tmp_path} samples.png"
    assert not any("translate" in text for text in found.values())
