"""A real systemd as process 1 of its own namespaces, over the host's files.

It knows the units of its own folder only: the distribution's would do a boot's work on the host's files, and
empty its /tmp. What is written below /etc, /usr/local and /var/lib vanishes with it. It shares the loopback and /tmp.
"""

from __future__ import annotations

import shlex
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import need
from tests.fakes.supervised import port_of_its_own
from tests.live import eventually
from tests.processes import children
from tests.real.machines import need_root
from tests.real.machines.cgroups import group_of_its_own
from tests.real.machines.engine import BEGAN, ROOT, engine

SYSTEMD = "/lib/systemd/systemd"

_UNITS = {
    "test.target": "[Unit]\nDescription=all there is\nDefaultDependencies=no\nRequires=dbus.socket\n",
    "dbus.socket": "[Unit]\nDefaultDependencies=no\n[Socket]\nListenStream=/run/dbus/system_bus_socket\n",
    "dbus.service": "[Unit]\nDefaultDependencies=no\nRequires=dbus.socket\n[Service]\nExecStart=dbus-daemon --system "
    "--address=systemd: --nofork --nopidfile --systemd-activation --syslog-only\n",
    "polkit.service": "[Unit]\nDefaultDependencies=no\n[Service]\nType=dbus\nBusName=org.freedesktop.PolicyKit1\n"
    "ExecStart=/usr/lib/polkit-1/polkitd --no-debug\n",
}

_BOOT = """
set -e
cd {folder}
mount --make-rprivate /
mount -t tmpfs tmpfs over
for each in etc usr/local var/lib; do
  mkdir -p over/$each/up over/$each/work
  mount -t overlay overlay -o lowerdir=/$each,upperdir=over/$each/up,workdir=over/$each/work /$each
done
mount -t tmpfs tmpfs /etc/systemd/system
mount -t cgroup2 cgroup2 cgroup
umount -R /sys/fs/cgroup
mount --move cgroup /sys/fs/cgroup
mount -t tmpfs tmpfs /run
mkdir -p /run/dbus /run/systemd/system /run/lock
export container=unshare SYSTEMD_UNIT_PATH={folder}/units
exec {systemd} --system --unit=test.target --log-target=console --show-status=no
"""


class Machine:
    """What has been booted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pid = 0

    def inside(self, *command: str) -> list[str]:
        """The command line that runs a command in there, as root."""
        return ["nsenter", "-t", str(self.pid), "-m", "-p", "-C", "-u", "-i", *command]

    def run(self, *command: str) -> str:
        """What a command said in there, which went well."""
        ran = subprocess.run(self.inside(*command), capture_output=True, text=True, timeout=60, check=False)
        assert ran.returncode == 0, f"{command}: {ran.stdout}{ran.stderr}"
        return ran.stdout.strip()

    def unit(self, name: str, text: str) -> None:
        """Install a unit, which has no dependencies but its own."""
        (self.folder / "units" / name).write_text(f"[Unit]\nDefaultDependencies=no\n{text}")
        self.run("systemctl", "daemon-reload")

    def shown(self, unit: str, what: str) -> str:
        return self.run("systemctl", "show", f"--property={what}", "--value", unit)

    def systemctl(self, user: str = "root") -> Path:
        """A folder for the PATH of a gateway out here, whose `systemctl` is the real one in there, run by `user`.

        In a house gateway and systemd share one machine. Here the gateway is the test's own process, and
        stays outside; nothing else of its way is different.
        """
        folder = self.folder / f"path-of-{user}"
        folder.mkdir(exist_ok=True)
        changed = [] if user == "root" else ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]
        program = folder / "systemctl"
        program.write_text(f'#!/bin/sh\nexec {shlex.join(self.inside(*changed, "systemctl"))} "$@"\n')
        program.chmod(0o755)
        return folder

    def is_up(self) -> bool:
        """Whether it has booted, which it is asked as soon as it has a process."""
        self.pid = next(iter(children(self._unshared.pid)), 0)
        asked = subprocess.run(
            self.inside("systemctl", "is-system-running"), capture_output=True, text=True, timeout=60, check=False
        )
        return asked.stdout.strip() == "running"

    def boot(self) -> None:
        for name in ("units", "over", "cgroup"):
            (self.folder / name).mkdir()
        for name, text in _UNITS.items():
            (self.folder / "units" / name).write_text(text)
        ...


@contextmanager
def systemd() -> Iterator[Machine]: ...
