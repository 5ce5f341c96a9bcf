"""What systemd hands over, and what it is told: with a real socket of its kind."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from select import select

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_control.service_manager import ServiceManager, inherited_sockets
from tests.processes import children, serve, spark_control_with
from tests.test_serving import settings_file


class Systemd:
    """The end of a service's `NOTIFY_SOCKET` that systemd has."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        self._socket.settimeout(10)

    def hears(self) -> str:
        return self._socket.recv(4096).decode()

    def waits_for(self, what: str) -> list[str]:
        """What it hears up to that."""
        heard = [self.hears()]
        while heard[-1] != what:
            heard.append(self.hears())
        return heard

    def forgets(self) -> None:
        """What it was sent up to now."""
        while select([self._socket], [], [], 0)[0]:
            self.hears()

    def close(self) -> None:
        self._socket.close()


@contextmanager
def listening_at(address: str) -> Iterator[Systemd]:
    manager = Systemd(address)
    try:
        yield manager
    finally:
        manager.close()


@pytest.fixture
def systemd(tmp_path) -> Iterator[Systemd]:
    with listening_at(str(tmp_path / "notify")) as manager:
        yield manager


def abstract() -> str:
    """An address that is no file, as systemd's own may be."""
    return f"@spark-control-{os.getpid()}"


def told(systemd: Systemd, **environ: str) -> ServiceManager:
    return ServiceManager.taken_from({"NOTIFY_SOCKET": systemd.address, **environ}, os.getpid())


def test_a_service_is_ready_once_it_answers_and_says_how_the_engines_are_and_that_it_leaves(
    tmp_path, upstreams, magpie, parakeet, systemd
):
    config = settings_file(tmp_path, upstreams)
    with serve(tmp_path, "--config", config, NOTIFY_SOCKET=systemd.address) as gateway:
        systemd.waits_for("READY=1")
        with gateway.client() as client:
            assert client.get("/healthz").status_code == 200
        systemd.waits_for("STATUS=Both engines are working.")
        gateway.process.send_signal(signal.SIGTERM)
        systemd.waits_for("STOPPING=1")
        assert gateway.process.wait(20) == 0


def test_signs_of_life_come_several_times_within_the_watchdog_s_patience_and_end_with_the_watcher(systemd):
    lives = True
    manager = told(systemd, WATCHDOG_USEC="80000", WATCHDOG_PID=str(os.getpid()))

    async def live_and_die() -> None:
        nonlocal lives
        posting = asyncio.create_task(manager.keep_posted(lambda: lives, lambda: "It lives."))
        heard = [await asyncio.to_thread(systemd.hears) for _ in range(4)]
        assert heard == ["WATCHDOG=1", "STATUS=It lives.", "WATCHDOG=1", "WATCHDOG=1"]
        lives = False
        systemd.forgets()  # the signs of before, since it may be slow to hear
        await asyncio.sleep(0.3)
        manager.is_stopping()
        posting.cancel()

    assert manager.watched
    asyncio.run(live_and_die())
    assert "WATCHDOG=1" not in systemd.waits_for("STOPPING=1")


def test_a_watchdog_of_another_process_is_none(systemd):
    assert not told(systemd, WATCHDOG_USEC="1000000", WATCHDOG_PID="1").watched
    assert not told(systemd, WATCHDOG_USEC="soon").watched
    assert told(systemd, WATCHDOG_USEC="1000000").watched  # it need not say whose


def test_without_a_service_manager_nothing_is_told():
    manager = ServiceManager.taken_from({"WATCHDOG_USEC": "1000000"}, os.getpid())
    manager.is_ready()
    assert not manager.watched
    asyncio.run(manager.keep_posted(lambda: True, lambda: ""))


def test_a_service_manager_that_is_gone_does_no_harm(tmp_path):
    ServiceManager(str(tmp_path / "gone")).is_ready()


@given(sentence=st.text(max_size=200))
def test_no_sentence_becomes_another_message(sentence):
    """Each line of a datagram is a message of its own."""

    async def say(manager: ServiceManager) -> None:
        posting = asyncio.create_task(manager.keep_posted(lambda: True, lambda: sentence))
        await asyncio.sleep(0)
        posting.cancel()

    with listening_at(abstract()) as systemd:
        asyncio.run(say(told(systemd)))
        systemd.waits_for("WATCHDOG=1")
        if sentence:
            said = systemd.hears()
            assert said.startswith("STATUS=")
            assert "\n" not in said


@pytest.mark.parametrize("environ", [{}, {"LISTEN_FDS": "1"}, {"LISTEN_FDS": "1", "LISTEN_PID": "1"}])
def test_sockets_that_are_meant_for_nobody_or_another_are_not_taken(environ):
    assert inherited_sockets({**environ}, os.getpid()) == []


def test_a_service_listens_on_all_the_sockets_it_is_given_and_its_children_know_of_none(tmp_path):
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("::1", 0), family=socket.AF_INET6) as other,
        serve(tmp_path, sockets=[one, other], LISTEN_FDNAMES="a:b", NOTIFY_SOCKET="@nobody") as gateway,
    ):
        urls = [f"http://127.0.0.1:{one.getsockname()[1]}/v1", f"http://[::1]:{other.getsockname()[1]}/v1"]
        assert gateway.said == f"Spark Control listens on {' and '.join(urls)}\n"
        gateway.wait_until_ready()
        with gateway.client() as client:
            assert all(client.get(f"{url}/models").status_code == 200 for url in urls)
        engines = children(gateway.process.pid)
        assert len(engines) >= 2
        ours = {os.fstat(each.fileno()).st_ino for each in (one, other)}
        for engine in engines:
            assert not ours & set(inodes(engine))
            environ = Path(f"/proc/{engine}/environ").read_text()
            assert not any(name in environ for name in ("LISTEN_", "NOTIFY_SOCKET"))


def inodes(pid: int) -> Iterator[int]:
    """Of what a process has open."""
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        yield descriptor.stat().st_ino


@pytest.mark.parametrize(
    "kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM], ids=["a socket that does not listen", "no TCP"]
)
def test_what_cannot_be_listened_on_is_told_in_a_sentence(tmp_path, kind):
    with socket.socket(socket.AF_INET, kind) as wrong:
        wrong.bind(("127.0.0.1", 0))
        ended = spark_control_with([wrong], "serve", folder=tmp_path)

    assert ended.returncode == 1
    assert ended.stderr == (
        "spark-control: descriptor 3 is no listening TCP socket. In spark-control.socket write "
        "ListenStream=8090, or an address and a port, and no Accept=yes.\n"
    )


def test_a_public_socket_wants_keys_whatever_the_settings_say_of_the_host(tmp_path):
    with socket.create_server(("0.0.0.0", 0)) as public:  # noqa: S104 (it is refused)
        ended = spark_control_with([public], "serve", folder=tmp_path)

    assert ended.returncode == 1
    assert "0.0.0.0 is open to the network, and there are no keys" in ended.stderr
