"""Who may send requests to a server, and what a browser may do with its page."""

from __future__ import annotations

import hmac
import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

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
        loopback_only: whether only names of this machine are allowed as the host of a request, so that no site can
            reach the server under a name of its own (DNS rebinding).
    """

    def __init__(self, app: ASGIApp, *, token: str = "", loopback_only: bool = True) -> None:
        self.app, self.token, self.loopback_only = app, token, loopback_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refused = self._refused(scope["path"], Headers(scope=scope))
        await (refused or self.app)(scope, receive, send_with_headers)

    def _refused(self, path: str, headers: Headers) -> JSONResponse | None:
        host, origin = headers.get("host", ""), headers.get("origin")
        if self.loopback_only and not is_loopback(urlsplit(f"//{host}").hostname or ""):
            return JSONResponse({"error": "this server answers requests to localhost only"}, 403)
        if origin is not None and urlsplit(origin).netloc != host:
            return JSONResponse({"error": "pages of other sites may not use this server"}, 403)
        if not self.token or path in _OPEN or path.startswith(_OPEN[-1]):
            return None
        given = headers.get("authorization", "").encode()
        if hmac.compare_digest(given, f"Bearer {self.token}".encode()):
            return None
        return JSONResponse(
            {"error": "give the server's token: Authorization: Bearer TOKEN"}, 401, {"WWW-Authenticate": "Bearer"}
        )


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine, whatever the network says."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
