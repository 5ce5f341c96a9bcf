"""A real sshd that lets one key do one thing: restart the engine that another Spark would run."""

from __future__ import annotations

import getpass
import os
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.conftest import need
from tests.fakes.supervised import port_of_its_own
from tests.live import eventually
from tests.processes import lives
from tests.real.machines.engine import BEGAN, ROOT, engine

_DIES_WITH_PARENT = ["setpriv", "--pdeathsig", "KILL"]

_KEEP_ALIVE = """
while :; do
  {engine} >>log 2>&1 &
  echo $! >pid.new && mv pid.new pid
  wait $!
done
"""
"""What systemd does for an engine elsewhere: whenever it dies, it is started again."""

_RESTART = """#!/bin/sh
cd {folder} && old=$(cat pid) && kill -9 "$old" || exit 1
while [ "$(cat pid)" = "$old" ]; do sleep 0.05; done
echo "restarted, and ${{SSH_ORIGINAL_COMMAND:-nothing}} was asked for"
"""

_SSHD = """
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/authorized_keys
PermitRootLogin forced-commands-only
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
PidFile none
"""


class Spark:
    """Another machine, as far as ssh can tell, and the engine that it runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        port = port_of_its_own()
        self.url = f"http://127.0.0.1:{port}"
        self.engine = engine(port)
        self.port = port_of_its_own()
        self.restart: dict[str, object] = {"command": self.ssh("gateway")}

    def ssh(self, key: str, command: str = "restart-parakeet") -> list[str]:
        """The command of a gateway that has this key."""
        known = f"UserKnownHostsFile={self.folder}/known_hosts"
        options = ["-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", known]
        identity = ["-o", "IdentitiesOnly=yes", "-i", str(self.folder / key)]
        where = ["-p", str(self.port), f"{getpass.getuser()}@127.0.0.1"]
        return ["ssh", *options, *identity, *where, command]

    def make_key(self, name: str) -> str:
        """Make a pair; the value is the public one."""
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(self.folder / name)]
        subprocess.run(command, check=True, timeout=60)
        return (self.folder / f"{name}.pub").read_text().strip()

    def pid(self) -> int:
        return int((self.folder / "pid").read_text())

    def began(self) -> str:
        return str(self.pid())

    def starts(self) -> int:
        return (self.folder / "log").read_bytes().count(BEGAN)

    def answers(self) -> bool:
        """Whether its sshd takes the key, and a client of it does not hang."""
        scan = ["ssh-keyscan", "-T", "5", "-p", str(self.port), "127.0.0.1"]
        return bool(subprocess.run(scan, capture_output=True, timeout=60, check=False).stdout)


@contextmanager
def spark() -> Iterator[Spark]:
    """One whose engine runs, and which the key `gateway` may restart; the key `stranger` may nothing.

    The key `watcher` may see how the machine is, and `shell` whatever it gives to a shell.
    """
    program = need("/usr/sbin/sshd", "openssh-server")
    need("ssh", "openssh-client")
    with tempfile.TemporaryDirectory(prefix="spark-") as name:
        there = Spark(Path(name))
        _furnish(there)
        keep_alive = _KEEP_ALIVE.format(engine=shlex.join([*_DIES_WITH_PARENT, *there.engine]))
        with (
            _running(["sh", "-c", f"cd {there.folder} && {keep_alive}"], "engine", there.folder),
            _running([program, "-D", "-e", "-f", str(there.folder / "sshd_config")], "sshd", there.folder),
        ):
            eventually(there.answers, within=20)
            eventually((there.folder / "pid").exists)
            yield there
            last = there.pid()
        # One that was started a moment ago had no time to ask for its parent's death.
        with suppress(ProcessLookupError):
            os.kill(last, signal.SIGKILL)
        eventually(lambda: not lives(last))


def _furnish(there: Spark) -> None:
    if getpass.getuser() == "root":
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where sshd, as root, locks its children in
    restart = there.folder / "restart-parakeet"
    restart.write_text(_RESTART.format(folder=there.folder))
    restart.chmod(0o755)
    files = {
        "authorized_keys": f'command="{restart}",restrict {there.make_key("gateway")}\n'
        f'command="{ROOT}/deploy/machine/spark-machine.sh",restrict {there.make_key("watcher")}\n'
        f'command="sh -s",restrict {there.make_key("shell")}\n',
        "known_hosts": f"[127.0.0.1]:{there.port} {there.make_key('host')}\n",
        "sshd_config": _SSHD.format(port=there.port, folder=there.folder),
    }
    there.make_key("stranger")
    for name, text in files.items():
        (there.folder / name).write_text(text)


@contextmanager
def _running(command: list[str], name: str, folder: Path) -> Iterator[None]:
    with (folder / f"{name}.log").open("w") as log:
        process = subprocess.Popen(
            [*_DIES_WITH_PARENT, *command], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        yield
    finally:
        process.kill()
        process.wait()
