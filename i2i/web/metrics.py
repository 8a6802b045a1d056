"""What Prometheus reads at /metrics: requests by outcome, how long they take, and how many are inside."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5, 10, 30, 60)


class Metrics:
    """The figures of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "i2i_requests", "Requests, by path and status", ["path", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "i2i_request_seconds", "Time of a request", ["path"], buckets=_SECONDS, registry=self.registry
        )
        self.inside = Gauge("i2i_requests_inside", "Requests that are worked on or wait", registry=self.registry)

    def text(self) -> bytes:
        """The figures in Prometheus' text format."""
        return generate_latest(self.registry)


class Measure:
    """Counts and times the requests to an application."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, paths: frozenset[str]) -> None:
        self.app, self.metrics, self.paths = app, metrics, paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and count it under its path, or as `other`."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.perf_counter(), "500"

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        path = scope["path"] if scope["path"] in self.paths else "other"
        try:
            with self.metrics.inside.track_inprogress():
                await self.app(scope, receive, watched)
        finally:
            self.metrics.requests.labels(path, status).inc()
            self.metrics.seconds.labels(path).observe(time.perf_counter() - began)
