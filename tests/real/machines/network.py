"""A network of a test's own, so that a proxy and the gateway have their real ports, and a client another address.

It has the loopback alone. On that, besides 127.0.0.0/8, all of 192.0.2.0/24 is this machine: who asks from there
comes, as far as anybody in it can tell, from elsewhere.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import need_root

HERE, ELSEWHERE = "192.0.2.1", "192.0.2.9"
"""This machine's address on the network, and somebody else's."""

_NEW_NETWORK = 0x40000000
_SET_FLAGS, _SET_ADDRESS, _SET_MASK = 0x8914, 0x8916, 0x891C
_UP = 0x1


@contextmanager
def network() -> Iterator[None]:
    """What this thread does meanwhile, and the threads and processes that it starts, happens there."""
    need_root("start a machine of its own")
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/proc/thread-self/ns/net").open() as before:
        if libc.unshare(_NEW_NETWORK):
            raise OSError(ctypes.get_errno(), "no network of its own")
        try:
            _raise_loopback()
            yield
        finally:
            assert libc.setns(before.fileno(), _NEW_NETWORK) == 0, os.strerror(ctypes.get_errno())


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        fcntl.ioctl(asked, _SET_FLAGS, struct.pack("16sH14x", b"lo", _UP))
        for request, address in ((_SET_ADDRESS, HERE), (_SET_MASK, "255.255.255.0")):
            told = struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(address))
            fcntl.ioctl(asked, request, struct.pack("16s16s", b"lo:1", told))
