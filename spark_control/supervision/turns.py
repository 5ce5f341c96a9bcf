"""Pure: who is next. First come, first served for each client; and one client after the other, whoever came first.

A client with a hundred requests holds up another's one by a single request, not by a hundred.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

ItemT = TypeVar("ItemT")


class Turns(Generic[ItemT]):
    """Items that wait, each for a client. Remembers only clients for which something waits."""

    def __init__(self) -> None:
        self._clients: dict[str, deque[ItemT]] = {}
        self._waiting = 0

    def __len__(self) -> int:
        return self._waiting

    def __iter__(self) -> Iterator[ItemT]:
        return (item for items in self._clients.values() for item in items)

    def add(self, client: str, item: ItemT) -> None:
        """Have `item` wait, behind those of its client, who comes after all others if nothing waited for it."""
        self._clients.setdefault(client, deque()).append(item)
        self._waiting += 1

    def next(self) -> ItemT:
        """The item whose turn it is. Raises IndexError if none waits."""
        for item in self.first_that(lambda _: True):
            return item
        raise IndexError("nobody waits")

    def peek(self, fits: Callable[[ItemT], bool]) -> list[ItemT]:
        """What `first_that` would give, which goes on waiting."""
        return next(([items[0]] for items in self._clients.values() if fits(items[0])), [])

    def first_that(self, fits: Callable[[ItemT], bool]) -> list[ItemT]:
        """The item whose turn it is among those that `fits`; nothing if no client's next one does."""
        for client, items in self._clients.items():
            if fits(items[0]):
                item = items.popleft()
                del self._clients[client]
                if items:
                    self._clients[client] = items  # behind the other clients
                self._waiting -= 1
                return [item]
        return []

    def remove(self, client: str, item: ItemT) -> None:
        """Have it wait no longer. Raises ValueError if it did not."""
        items = self._clients.get(client, deque())
        items.remove(item)
        self._waiting -= 1
        if not items:
            del self._clients[client]
