"""Registries: what can be built, by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Generic, TypeVar

from i2i.errors import UsageError, unknown

T = TypeVar("T")


class Registry(Mapping[str, Callable[..., T]], Generic[T]):
    """What can be built, by name. An unknown name raises UsageError with the nearest known one.

    Attributes:
        kind: what its builders build, in messages: "generator".
        base: the class of what they build, if it is checked.
    """

    def __init__(self, kind: str, *, base: type[T] | None = None) -> None:
        self.kind, self.base = kind, base
        self._builders: dict[str, Callable[..., T]] = {}

    def register(self, name: str) -> Callable[[Callable[..., T]], Callable[..., T]]:
        """Decorate a class or function with the name that builds it.

        Raises:
            UsageError: the name is taken, or the class isn't a subclass of `base`.
        """

        def add(builder: Callable[..., T]) -> Callable[..., T]:
            if name in self._builders:
                raise UsageError(f"there already is a {self.kind} {name!r}: {self._builders[name]!r}")
            if inspect.isclass(builder):
                self.check(name, builder)
            self._builders[name] = builder
            return builder

        return add

    def check(self, name: str, cls: type) -> None:
        """Refuse a class that `name` can't build: it isn't a subclass of `base`.

        Raises:
            UsageError: saying which class to derive from.
        """
        if self.base and not issubclass(cls, self.base):
            raise UsageError(
                f"{self.kind} {name!r} is a plain {cls.__name__}; make it a subclass of "
                f"{self.base.__module__}.{self.base.__name__}, which declares its inputs and outputs"
            )

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
