import dataclasses
from pathlib import Path

from i2i.training.build import run_config
from i2i.training.run_folder import RunFolder


def test_settings_for_others_do_not_tell_where_this_machine_keeps_its_files(tmp_path: Path) -> None:
    config = run_config("distill", "/home/me/my_pairs", teacher="/home/me/runs/mine", init="/home/me/first.safetensors")
    data = dataclasses.replace(config.data, shard_cache="/home/me/cache")
    config = dataclasses.replace(
        config,
        data=data,
        plugins=("/home/me/plug.py",),
        paths=("/home/me/my_pairs", "https://host/b.tar?signature=secret"),
    )
    shared = RunFolder(tmp_path, config, domains=("a", "b"), preprocess={}).shared_settings()
    assert "/home" not in repr(shared)
    assert "secret" not in repr(shared)
    assert shared["plugins"] == ["plug.py"]
    assert shared["paths"] == ["my_pairs", "b.tar"]
    assert (shared["options"]["teacher"], shared["train"]["init"]) == ("mine", "first.safetensors")
