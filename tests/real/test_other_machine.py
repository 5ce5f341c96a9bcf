"""Another Spark, seen over a real ssh: by a shell that takes the program, and by a key that can do nothing else."""

from __future__ import annotations

import time

import uvloop

from spark_control.machine.looking import Elsewhere
from spark_control.machine.seen import Look
from tests.real.machines.ssh import Spark, spark


def seen(there: Spark, key: str, command: str) -> Look:
    return uvloop.run(Elsewhere(there.ssh(key, command), 10.0, time.monotonic, time.time).look())


def test_both_recipes_tell_how_it_is_and_a_strangers_key_tells_why_not() -> None:
    with spark() as there:
        for key, command in (("shell", "sh -s"), ("watcher", ""), ("watcher", "cat /etc/shadow")):
            look = seen(there, key, command)
            assert look.problem is None
            assert look.memory
            assert [disk.path for disk in look.disks] == ["/"]
        refused = seen(there, "stranger", "sh -s")
        assert refused.memory is None
        assert "The command 'ssh' ended with status 255: " in str(refused.problem)
        assert "Permission denied" in str(refused.problem)
