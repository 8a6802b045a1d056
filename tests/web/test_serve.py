"""`i2i serve` as a process: its contract with programs, and its end."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import pytest

from i2i.cli import main
from i2i.images.decoded import DecodedImage
from i2i.images.writing import encode
from support.images import noise
from web.conftest import Served


def test_requests_of_all_kinds_are_answered_as_the_contract_says(served: Served, tmp_path: Path) -> None:
    pytest.importorskip("schemathesis")
    (tmp_path / "schemathesis.toml").write_text('[parameters]\n"query.model" = "boxes"\n"body.model" = "dots"\n')
    # Not every image that the contract allows is one: `positive_data_acceptance` would want it.
    words = ["--phases", "coverage,fuzzing", "--checks", "all", "--exclude-checks", "positive_data_acceptance"]
    found = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", "run", f"{served.url}/openapi.json", "--max-examples", "2", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert found.returncode == 0, found.stdout[-3000:] + found.stderr
    assert "6 selected / 6 total" in found.stdout


def test_a_request_at_the_end_is_answered(served: Served) -> None:
    request = urllib.request.Request(
        f"{served.url}/v1/translate?model=boxes", encode(DecodedImage(noise(900, 900, 3)), ".png"), method="POST"
    )
    status: list[int] = []
    thread = threading.Thread(target=lambda: status.append(urllib.request.urlopen(request).status))
    thread.start()
    while "i2i_requests_inside 2.0" not in urllib.request.urlopen(f"{served.url}/metrics").read().decode():
        assert not status
    served.process.send_signal(signal.SIGTERM)
    thread.join(20)
    assert status == [200]
    assert served.process.wait(20) in (0, -signal.SIGTERM)


def test_wrong_use(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["serve", "--port", str(taken.getsockname()[1])]) == 2
    assert "in use; use --port 0, a free one" in capsys.readouterr().err
    for words, said in (
        (["nomodel"], "unknown model 'nomodel'"),
        (["--models", str(tmp_path / "no")], "there is no such folder"),
        (["--port", "70000"], "--port 70000: expected 0 to 65535"),
        (["--timeout", "0"], "--timeout is 0.0; it should be above 0"),
        (["--device", "tpu"], "tpu"),
    ):
        assert main(["serve", *words]) == 2
        assert said in capsys.readouterr().err
