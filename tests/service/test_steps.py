from __future__ import annotations

import socket

import pytest

from spark_control.service.steps import Free, StepFailed, do
from tests.conftest import need


def test_a_port_that_somebody_has_is_told_with_the_cure() -> None:
    need("systemctl", "systemd")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(StepFailed, match=f"127.0.0.1 port {port} is taken: end the gateway"):
            do(Free((("127.0.0.1", port),), "spark-control-of-nobody.socket"))
