"""A real systemd as process 1 of its own namespaces, over the host's files.

It knows the units of its own folder, and of an /etc/systemd/system that is empty at first: the distribution's would
do a boot's work on the host's files, and empty its /tmp. What is written below /etc, /usr/local, /var/lib and /var/log
vanishes with it. It shares the loopback and /tmp.
"""

from __future__ import annotations

import shlex
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import need, need_root
from tests.fakes.supervised import port_of_its_own
from tests.live import eventually
from tests.real.machines.cgroups import group_of_its_own, unified
from tests.real.machines.engine import BEGAN, ROOT, engine

_UNITS = {
    "test.target": """
        Requires=dbus.socket
        """,
    "dbus.socket": """
        [Socket]
        ListenStream=/run/dbus/system_bus_socket
        """,
    "dbus.service": """
        [Service]
        ExecStart=dbus-daemon --system --address=systemd: --nofork --nopidfile --systemd-activation --syslog-only
        """,
    "systemd-journald.socket": """
        [Socket]
        ListenStream=/run/systemd/journal/stdout
        ListenDatagram=/run/systemd/journal/socket
        PassCredentials=yes
        """,
    "systemd-journald.service": """
        [Service]
        Type=notify
        ExecStart=/lib/systemd/systemd-journald
        Sockets=systemd-journald.socket
        """,
    "polkit.service": """
        [Service]
        Type=dbus
        BusName=org.freedesktop.PolicyKit1
        ExecStart=/usr/lib/polkit-1/polkitd --no-debug
        """,
}

# What a unit with the usual dependencies asks for, without what they do at a real boot.
_UNITS |= dict.fromkeys(
    (f"{name}.target" for name in ("sysinit", "basic", "sockets", "network", "shutdown")), ""
)
_UNITS["multi-user.target"] = ""

_BOOT = """
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs over
for each in etc usr/local var/lib; do
  mkdir -p over/$each/up over/$each/work
  mount -t overlay overlay -o lowerdir=/$each,upperdir=over/$each/up,workdir=over/$each/work /$each
done
mount -t tmpfs tmpfs /etc/systemd/system
mount -t tmpfs tmpfs /var/log
mount -t cgroup2 cgroup2 cgroup
umount -R /sys/fs/cgroup
mount --move cgroup /sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/dbus /run/systemd/system /run/lock
export container=unshare SYSTEMD_UNIT_PATH=$PWD/units:/etc/systemd/system
exec /lib/systemd/systemd --system --unit=test.target --log-target=console --show-status=no
"""

_PATH = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}

_NAMESPACES = ["--mount", "--pid", "--fork", "--cgroup", "--ipc", "--uts", "--mount-proc", "--kill-child"]


class Machine:
    """What has been booted."""

    def __init__(self, folder: Path, pid: int) -> None:
        self.folder = folder
        self._pid = pid

    def inside(self, *command: str) -> list[str]:
        """The command line that runs a command in there, as root."""
        return ["nsenter", "-t", str(self._pid), "-m", "-p", "-C", "-u", "-i", *command]

    def run(self, *command: str) -> str:
        """What a command says in there, when it goes well."""
        asked = self.inside(*command)
        ran = subprocess.run(asked, env=_PATH, capture_output=True, text=True, timeout=60, check=False)
        assert ran.returncode == 0, f"{command}: {ran.stdout}{ran.stderr}"
        return ran.stdout.strip()

    def unit(self, name: str, text: str) -> None:
        """Install a unit."""
        _write(self.folder / "units", name, text)
        self.run("systemctl", "daemon-reload")

    def shown(self, unit: str, what: str) -> str:
        return self.run("systemctl", "show", f"--property={what}", "--value", unit)

    def path(self, user: str = "root") -> str:
        """A PATH for a gateway out here, whose `systemctl` is the real one in there, run by `user`.

        In a house, gateway and systemd share a machine. Here the gateway is the test's own process and stays
        outside: this one step is not what it is in a house.
        """
        folder = self.folder / f"path-of-{user}"
        folder.mkdir(exist_ok=True)
        changed = [] if user == "root" else ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]
        program = folder / "systemctl"
        program.write_text(
            f'#!/bin/sh\nexec {shlex.join(self.inside(*changed, need("systemctl", "systemd")))} "$@"\n'
        )
        program.chmod(0o755)
        return f"{folder}:{_PATH['PATH']}"

    def manager_of(self, user: str, folder: str, units: dict[str, str]) -> None:
        """Start a user's own systemd, which logging in would, with its sockets in `folder` and these units."""
        for name, text in {**units, "default.target": f"Wants={' '.join(units)}"}.items():
            _write(self.folder / f"units-of-{user}", name, text)
        self.unit(
            "manager.service",
            f"""
            [Service]
            Type=notify
            User={user}
            Delegate=yes
            RuntimeDirectory={folder.removeprefix("/run/")}
            Environment=XDG_RUNTIME_DIR={folder} SYSTEMD_UNIT_PATH={self.folder}/units-of-{user}
            ExecStart=/lib/systemd/systemd --user
            """,
        )
        self.run("systemctl", "start", "manager.service")


@contextmanager
def booted() -> Iterator[Machine]:
    """A machine that has started up."""
    need_root("start a machine of its own")
    need("/lib/systemd/systemd", "systemd")
    need("dbus-daemon", "dbus")
    with (
        tempfile.TemporaryDirectory(prefix="systemd-") as name,
        group_of_its_own() as group,
        _unshared(Path(name), unified() / group) as parent,
    ):
        eventually(lambda: _first_of(parent), within=20)
        machine = Machine(Path(name), _first_of(parent))
        eventually(lambda: _is_up(machine), within=20)
        yield machine


@contextmanager
def _unshared(folder: Path, group: Path) -> Iterator[int]:
    """The process whose only child is the machine's first, and is killed with it."""
    group.mkdir()
    folder.chmod(0o755)
    for each in ("over", "cgroup"):
        (folder / each).mkdir()
    for unit, text in _UNITS.items():
        _write(folder / "units", unit, text)
    start = shlex.join(["setpriv", "--pdeathsig", "KILL", "unshare", *_NAMESPACES, "sh", "-c", _BOOT])
    command = ["sh", "-c", f"echo $$ > {group}/cgroup.procs && exec {start}"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


def _write(folder: Path, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    lines = ["[Unit]", "DefaultDependencies=no", *map(str.strip, text.strip().splitlines())]
    (folder / name).write_text("\n".join(lines) + "\n")


def _first_of(parent: int) -> int:
    """The machine's first process, once it is systemd; before that, a question would go to the host's own."""
    for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        if Path(f"/proc/{pid}/comm").read_text() == "systemd\n":
            return int(pid)
    return 0


def _is_up(machine: Machine) -> bool:
    asked = machine.inside("systemctl", "is-system-running")
    state = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False).stdout.strip()
    assert state != "degraded", machine.run("systemctl", "--failed")
    return state == "running"


class Unit:
    """An engine as a unit."""

    def __init__(self, machine: Machine, name: str = "parakeet.service", limits: str = "") -> None:
        """`limits`: lines for the unit's first section."""
        port = port_of_its_own()
        self.url = f"http://127.0.0.1:{port}"
        self.restart: dict[str, object] = {"systemd": name}
        self._machine = machine
        self._name = name
        self._log = machine.folder / f"{name}.log"
        machine.unit(
            name,
            f"""{limits}
            [Service]
            WorkingDirectory={ROOT}
            ExecStart={shlex.join(engine(port))}
            StandardOutput=append:{self._log}
            StandardError=append:{self._log}
            """,
        )
        machine.run("systemctl", "start", name)

    def began(self) -> str:
        return self._machine.shown(self._name, "ExecMainStartTimestamp")

    def starts(self) -> int:
        return self._log.read_bytes().count(BEGAN)
