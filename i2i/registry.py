"""Names for things that can be built: a registry that explains itself, and the one string that rebuilds a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Generic, TypeVar

from i2i.errors import UsageError, unknown

T = TypeVar("T")


class Registry(Mapping[str, Callable[..., T]], Generic[T]):
    """What can be built, by name. A name that isn't there raises UsageError with the nearest one that is."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._builders: dict[str, Callable[..., T]] = {}

    def register(self, name: str) -> Callable[[Callable[..., T]], Callable[..., T]]:
        """Decorate a class or function with the name that builds it; a name is given once."""

        def add(builder: Callable[..., T]) -> Callable[..., T]:
            if name in self._builders:
                raise UsageError(f"there already is a {self.kind} {name!r}: {self._builders[name]!r}")
            self._builders[name] = builder
            return builder

        return add

    def __getitem__(self, name: str) -> Callable[..., T]:
        if name not in self._builders:
            raise unknown(self.kind, name, self._builders)
        return self._builders[name]

    def __contains__(self, name: object) -> bool:
        return name in self._builders

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._builders))

    def __len__(self) -> int:
        return len(self._builders)
