"""A server that speaks the protocol of the Hugging Face Hub, over repositories in memory."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Hub:
    """The repositories, and what the server was asked.

    Attributes:
        files: of each (repository, branch or commit), by name.
        requests: method, path and `Range` of each request.
        lose_after: bytes after which the next download loses its connection.
        refuse_uploads: whether large files are refused.
        token: needed to write.
    """

    def __init__(self) -> None:
        self.files: dict[tuple[str, str], dict[str, bytes]] = {}
        self.private: set[str] = set()
        self.objects: dict[str, bytes] = {}
        self.requests: list[tuple[str, str, str]] = []
        self.lose_after: int | None = None
        self.refuse_uploads = False
        self.token = "hf_test"
        self.url = ""

    def commit(self, repository: str, branch: str, files: dict[str, bytes]) -> str:
        """Add files to a branch, and return the commit."""
        all_files = {**self.files.get((repository, branch), {}), **files}
        listed = {name: hashlib.sha256(content).hexdigest() for name, content in all_files.items()}
        oid = hashlib.sha1(json.dumps(listed, sort_keys=True).encode()).hexdigest()
        self.files[repository, branch] = self.files[repository, oid] = all_files
        return oid

    def oid(self, repository: str, revision: str) -> str:
        files = self.files[repository, revision]
        return next(
            r for (name, r), kept in self.files.items() if name == repository and kept is files and len(r) == 40
        )


@contextlib.contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """Serve the repositories on a free port of this machine."""

    class Handler(_Handler):
        pass

    Handler.hub = hub
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._note()
        self._file()

    def do_GET(self) -> None:
        self._note()
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", self._path()):
            repository, revision = found[1], found[2] or "main"
            if (repository, revision) not in self.hub.files:
                return self._json(404, {}, **{"X-Error-Code": "RevisionNotFound"})
            return self._json(
                200,
                {
                    "id": repository,
                    "sha": self.hub.oid(repository, revision),
                    "siblings": [],
                    "private": repository in self.hub.private,
                },
            )
        return self._file()

    def do_PUT(self) -> None:
        self._note()
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if self.hub.refuse_uploads:
            return self._json(403, {"error": "no room"})
        oid = self._path().rpartition("/")[2]
        assert hashlib.sha256(content).hexdigest() == oid
        self.hub.objects[oid] = content
        return self._json(200, {})

    def do_POST(self) -> None:
        self._note()
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Authorization") != f"Bearer {self.hub.token}":
            return self._json(401, {"error": "Invalid username or password."})
        path = self._path()
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}" if asked.get("organization") else asked["name"]
            if (name, "main") in self.hub.files:
                return self._json(409, {"url": f"{self.hub.url}/{name}"})
            self.hub.commit(name, "main", {})
            self.hub.private |= {name} if asked.get("private") or asked.get("visibility") == "private" else set()
            return self._json(200, {"url": f"{self.hub.url}/{name}"})
        if path == "/api/validate-yaml":
            return self._json(200, {"errors": [], "warnings": []})
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/branch/(.+)", path):
            self.hub.commit(found[1], found[2], self.hub.files[found[1], "main"])
            return self._json(201, {})
        if re.fullmatch(r"/api/models/[^/]+/[^/]+/preupload/.+", path):
            files = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["path"].endswith(".safetensors") else "regular",
                    "shouldIgnore": False,
                    "oid": None,
                }
                for file in json.loads(body)["files"]
            ]
            return self._json(200, {"files": files})
        if path.endswith(".git/info/lfs/objects/batch"):
            asked = json.loads(body)
            objects = [
                {**wanted, "actions": {"upload": {"href": f"{self.hub.url}/objects/{wanted['oid']}", "header": {}}}}
                for wanted in asked["objects"]
            ]
            return self._json(200, {"transfer": "basic", "objects": objects})
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/commit/(.+)", path):
            files = dict(self._committed(line["key"], line["value"]) for line in map(json.loads, body.splitlines()))
            files.pop("", None)
            oid = self.hub.commit(found[1], found[2], files)
            url = f"{self.hub.url}/{found[1]}/commit/{oid}"
            return self._json(200, {"success": True, "commitOid": oid, "commitUrl": url})
        return self._json(404, {"error": path})

    def _committed(self, key: str, value: dict[str, Any]) -> tuple[str, bytes]:
        if key == "file":
            return value["path"], base64.b64decode(value["content"])
        return (value["path"], self.hub.objects[value["oid"]]) if key == "lfsFile" else ("", b"")

    def _note(self) -> None:
        self.hub.requests.append((self.command, self._path(), self.headers.get("Range", "")))

    def _path(self) -> str:
        return self.path.partition("?")[0]

    def _file(self) -> None:
        found = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", self._path())
        if not found or (found[1], "main") not in self.hub.files:
            return self._json(404, {}, **{"X-Error-Code": "RepoNotFound"})
        repository, revision, name = found.groups()
        if repository in self.hub.private and self.headers.get("Authorization") != f"Bearer {self.hub.token}":
            return self._json(401, {}, **{"X-Error-Code": "RepoNotFound"})
        if (repository, revision) not in self.hub.files:
            return self._json(404, {}, **{"X-Error-Code": "RevisionNotFound"})
        oid = self.hub.oid(repository, revision)
        if name not in self.hub.files[repository, revision]:
            return self._json(404, {}, **{"X-Error-Code": "EntryNotFound", "X-Repo-Commit": oid})
        content = self.hub.files[repository, revision][name]
        start = int((re.match(r"bytes=(\d+)-", self.headers.get("Range", "")) or [0, 0])[1])
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("X-Repo-Commit", oid)
        self.end_headers()
        if self.command == "HEAD":
            return None
        lose, self.hub.lose_after = self.hub.lose_after, None
        self.wfile.write(content[start : None if lose is None else start + lose])
        self.close_connection = lose is not None
        return None

    def _json(self, status: int, value: object, **headers: str) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        for key, text in {"Content-Type": "application/json", **headers}.items():
            self.send_header(key, text)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
