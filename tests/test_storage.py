from pathlib import Path

import pytest

from i2i.errors import UsageError
from i2i.storage import as_local, cache_folder, file_system, is_remote


def test_the_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("I2I_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "i2i"
    monkeypatch.setenv("I2I_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"


def test_a_path_with_a_scheme_is_remote() -> None:
    assert is_remote("s3://bucket/photos")
    assert not is_remote("photos")
    assert as_local("file:///photos/?1%20[a]#b.png") == "/photos/?1 [a]#b.png"
    assert as_local("file://localhost/photos") == "/photos"
    assert as_local("s3://bucket/photos") == "s3://bucket/photos"
    assert file_system("memory://photos/1.png")[1] == "/photos/1.png"


@pytest.mark.parametrize("path", ["nowhere://photos", "hdfs3://photos"])
def test_a_scheme_that_is_not_known_is_refused(path: str) -> None:
    with pytest.raises(UsageError, match=path):
        file_system(path)
