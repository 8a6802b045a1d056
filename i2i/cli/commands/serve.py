"""`i2i serve [MODEL ...]`: a web page to translate, draw and edit on, and an API for programs."""

from __future__ import annotations

import contextlib
import importlib
import os
import socket
import threading
import webbrowser
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from i2i.cli.arguments import Imports, one_line, parse
from i2i.errors import UsageError, setting

USAGE = "[MODEL ...]"
SUMMARY = "Serve models on a web page, and as an API for programs"


@dataclass(frozen=True)
class Flags:
    """Flags of `i2i serve`."""

    names: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="MODEL")] = ()
    """Pretrained models, model files or run folders (default: all pretrained models)."""
    models: Path | None = None
    """A folder whose model files and runs are served too."""
    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 for other machines, with --token."""
    port: int = 8000
    """Port to listen on; 0 takes a free one."""
    token: str = ""
    """Requests must give it: Authorization: Bearer TOKEN. The page asks for it. (Default: $I2I_TOKEN, if it is set.)"""
    allow_host: tuple[str, ...] = ()
    """Names under which the server may be reached, such as that of a proxy before it (default: this machine's own; with
    another --host, any)."""
    open: bool = False
    """Open the page in a browser."""
    max_megabytes: float = 20.0
    """Refuse larger requests."""
    max_megapixels: float = 25.0
    """Refuse larger images, before they are decoded."""
    max_requests: int = 32
    """Requests that are worked on or wait at a time; the next ones are told to try again."""
    timeout: float = 120.0
    """Seconds that a request may take."""
    device: str = "auto"
    """cpu, cuda, cuda:1 or mps; auto: a GPU if there is one."""
    backend: str = "fastest"
    """What translates: torch, onnx or openvino; fastest: on a CPU, OpenVINO or ONNX Runtime if one is installed."""
    imports: Imports = ()
    """Import a module or .py file that defines a model's network. Repeatable."""


def run(args: list[str]) -> int:
    """Serve until Ctrl-C."""
    return serve(parse(Flags, "serve", args, SUMMARY))


def serve(flags: Flags) -> int:
    """Serve models until Ctrl-C or SIGTERM.

    Raises:
        UsageError: the extra `web` isn't installed, the port is taken, or a model can't be read.
    """
    for module in ("fastapi", "uvicorn", "python_multipart", "prometheus_client"):
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name != module:
                raise
            raise UsageError(
                f'serving needs {module}, which isn\'t installed: pip install "i2i-toolkit[web]"'
            ) from None

    import uvicorn

    from i2i.device import pick_device
    from i2i.inference.backends.exported import is_export
    from i2i.plugins import load_plugins
    from i2i.web import Limits, Models, make_app
    from i2i.web.models import offered_models
    from i2i.web.security import is_loopback

    load_plugins(flags.imports)
    limits = Limits(flags.max_megabytes, flags.max_megapixels, flags.max_requests, flags.timeout)
    offered = offered_models(list(flags.names), flags.models)
    if not all(is_export(model.file) for model in offered):
        pick_device(flags.device)
    token, local = flags.token or os.environ.get("I2I_TOKEN", ""), is_loopback(flags.host)
    hosts = flags.allow_host if local or flags.allow_host else None
    app = make_app(Models(offered, device=flags.device, backend=flags.backend), limits, token=token, hosts=hosts)
    listening = _listen(flags.host, flags.port)
    shown = "localhost" if flags.host in ("127.0.0.1", "0.0.0.0", "::", "::1") else flags.host
    url = f"http://{shown}:{listening.getsockname()[1]}"
    print(one_line(f"{len(offered)} models at {url} (Ctrl-C ends)"), flush=True)
    if not local and not token:
        print("anyone who can reach this address can use it; --token TOKEN keeps others out", flush=True)
    if flags.open:
        threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()  # a browser in the terminal blocks
    config = uvicorn.Config(
        app, log_level="warning", timeout_graceful_shutdown=10, server_header=False, h11_max_incomplete_event_size=2**16
    )
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises it again after its shutdown
        uvicorn.Server(config).run(sockets=[listening])
    return 0


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port < 2**16:
        raise UsageError(f"{setting('port', port)}: expected 0 to 65535")
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.create_server((host, port), family=family, backlog=256)
    except OSError as error:
        number = error.errno or 0
        reason = os.strerror(number) if number > 0 else error  # its own text repeats the address
        raise UsageError(
            f"can't listen on {host} port {port}: {reason}; use {setting('port', 0)}, a free one"
        ) from None
    listening.set_inheritable(True)
    return listening
