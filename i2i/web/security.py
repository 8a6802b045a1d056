"""Who may send requests to a server, and what a browser may do with its page."""

from __future__ import annotations

import hmac
import ipaddress
import logging
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_log = logging.getLogger("uvicorn.error")

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "media-src blob:; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
}
_OPEN = ("/", "/healthz", "/page/")  # without a token: the page itself, which asks for one


class Guard:
    """Refuses requests of other sites' pages and those without the token, and adds security headers.

    Args:
        app: what answers.
        token: that `Authorization: Bearer TOKEN` must give; none if it is empty.
        hosts: names under which the server may be reached, besides those of this machine, so that no site can reach it
            under a name of its own (DNS rebinding); None for any.
    """

    def __init__(self, app: ASGIApp, *, token: str = "", hosts: Collection[str] | None = ()) -> None:
        self.app, self.token, self.hosts = app, token, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            started = True
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refused = self._refused(scope["path"], Headers(scope=scope))
        try:
            await (refused or self.app)(scope, receive, send_with_headers)
        except Exception:
            if started:
                raise
            _log.exception("%s %s", scope["method"], scope["path"])
            await JSONResponse({"error": "the server failed; its log says why"}, 500)(scope, receive, send_with_headers)

    def _refused(self, path: str, headers: Headers) -> JSONResponse | None:
        host, origin = headers.get("host", ""), headers.get("origin")
        name, site = _name(f"//{host}"), None if origin is None else _name(origin)
        if self.hosts is not None and name not in self.hosts and not is_loopback(name):
            return JSONResponse({"error": "this host name isn't allowed; whoever runs the server can allow it"}, 403)
        same = origin is None or origin.partition("://")[2] == host  # a proxy may pass on another host
        if not same and (site is None or site not in (self.hosts or ())):
            return JSONResponse({"error": "pages of other sites may not use this server"}, 403)
        if not self.token or path in _OPEN or path.startswith(_OPEN[-1]):
            return None
        given = headers.get("authorization", "").encode()
        if hmac.compare_digest(given, f"Bearer {self.token}".encode()):
            return None
        return JSONResponse(
            {"error": "give the server's token: Authorization: Bearer TOKEN"}, 401, {"WWW-Authenticate": "Bearer"}
        )


def _name(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine, whatever the network says."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
