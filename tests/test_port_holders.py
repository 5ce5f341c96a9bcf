from __future__ import annotations

import pytest

from spark_control.port_holders import holder_of

TABLE = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F9A 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100
"""
PORT = 0x1F9A


@pytest.fixture
def proc(tmp_path):
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "tcp").write_text(TABLE)

    def process(pid: int, name: str) -> None:
        (tmp_path / str(pid) / "fd").mkdir(parents=True)
        (tmp_path / str(pid) / "fd" / "3").symlink_to("socket:[4711]")
        (tmp_path / str(pid) / "comm").write_text(f"{name}\n")

    process(1, "systemd")
    return tmp_path, process


def test_a_service_has_the_socket_that_systemd_holds_for_it(proc):
    folder, process = proc
    process(50, "spark-control")
    found = holder_of(PORT, folder)
    assert str(found) == "spark-control, process 50"
    assert found is not None
    assert found.cure == ("if it is the service: `sudo systemctl stop spark-control.socket`; else: kill 50")


def test_a_socket_of_a_service_that_does_not_run_is_systemd_s_and_nobody_is_told_to_kill_that(proc):
    folder, _ = proc
    found = holder_of(PORT, folder)
    assert found is not None
    assert found.cure == "stop the socket unit that `systemctl list-sockets` shows there"
    assert holder_of(PORT + 1, folder) is None
