"""Load on `i2i serve`: clients that translate images all the time, its answers, their latency, and its memory.

    python tests/benchmark_serve.py [--clients 50] [--seconds 60] [--model map2sat]

Clients that are told to try again (429) wait as long as they are told. Any other answer than 200 is an error.
"""

from __future__ import annotations

import argparse
import collections
import http.client
import io
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
from PIL import Image


def main() -> None:
    """Start a server, load it, and print what became of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="map2sat", help="pretrained model, model file or run")
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--size", type=int, default=256, help="height and width of the images")
    parser.add_argument("--quick", action="store_true", help="3 clients for 2 seconds, to see that it runs")
    args = parser.parse_args()
    clients, seconds = (3, 2.0) if args.quick else (args.clients, args.seconds)
    words = [sys.executable, "-m", "i2i", "serve", args.model, "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        found = re.search(r":(\d+)", server.stdout.readline())
        assert found
        port = int(found[1])
        body, name = image(args.size), Path(args.model).stem
        ask(http.client.HTTPConnection("localhost", port, timeout=120), name, body)  # loads the model
        before = memory(server.pid)
        statuses: collections.Counter[int] = collections.Counter()
        times: list[float] = []
        until = time.monotonic() + seconds
        threads = [
            threading.Thread(target=load, args=(port, name, body, until, statuses, times)) for _ in range(clients)
        ]
        for thread in threads:
            thread.start()
        time.sleep(seconds / 3)
        busy = memory(server.pid)
        for thread in threads:
            thread.join()
        after = memory(server.pid)
        server.terminate()
    print(f"{clients} clients for {seconds:g} s, images of {args.size} px, {args.model}")
    print(f"answers: {', '.join(f'{count} of status {status}' for status, count in sorted(statuses.items()))}")
    low, middle, high = np.percentile(times, [5, 50, 95])
    print(f"{len(times) / seconds:.1f} images/s; latency {middle:.2f} s (5 % below {low:.2f}, 5 % above {high:.2f})")
    print(
        f"memory: {before:.0f} MB after the first image, {busy:.0f} MB after a third of the time, "
        f"{after:.0f} MB at its end"
    )
    if set(statuses) - {200, 429}:
        sys.exit("errors other than 429")


def load(
    port: int, name: str, body: bytes, until: float, statuses: collections.Counter[int], times: list[float]
) -> None:
    """Translate until the time is over."""
    connection = http.client.HTTPConnection("localhost", port, timeout=120)
    while time.monotonic() < until:
        began = time.monotonic()
        status, wait = ask(connection, name, body)
        statuses[status] += 1
        if status == 200:
            times.append(time.monotonic() - began)
        time.sleep(wait)


def ask(connection: http.client.HTTPConnection, name: str, body: bytes) -> tuple[int, float]:
    """The status of a translation, and the seconds to wait before the next."""
    connection.request("POST", f"/v1/translate?model={name}", body)
    answer = connection.getresponse()
    answer.read()
    return answer.status, float(answer.getheader("Retry-After") or 0)


def image(size: int) -> bytes:
    """A PNG of noise."""
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (size, size, 3), np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def memory(pid: int) -> float:
    """Resident memory of a process, in MB; 0 where /proc doesn't tell."""
    status = Path(f"/proc/{pid}/status")
    found = re.search(r"VmRSS:\s+(\d+)", status.read_text()) if status.exists() else None
    return int(found[1]) / 1024 if found else 0.0


if __name__ == "__main__":
    main()
