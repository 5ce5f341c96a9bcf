"""Pure: the two units of the service. What stands in deploy/systemd/ is what this writes for the defaults."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from spark_control.local_only import is_loopback
from spark_control.service.names import SERVICE, SETTINGS, SOCKET, STATE, USER
from spark_control.settings import Settings

_AFTER_THE_DRAIN = 15
"""Seconds that the gateway has for its end beside the drain, before it is killed."""

_HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108 (these are the ones it is not to see)
"""What the service does not see of the machine, unless its own program lies there."""

_SIMPLE = re.compile(r"[\w/.+@~,= -]+")


class CannotInstall(Exception):
    """Why there can be no service, in a sentence with the cure."""


@dataclass(frozen=True)
class Program:
    """The gateway's program, and the folders that its code lies in."""

    command: tuple[str, ...] = ("/usr/local/bin/spark-control",)
    folders: tuple[Path, ...] = ()

    @property
    def hidden(self) -> list[Path]:
        """Those of its folders that the service would not see, without what lies in another of them."""
        hidden = {each for each in self.folders if any(each.is_relative_to(place) for place in _HIDDEN)}
        return sorted(each for each in hidden if not hidden.intersection(each.parents))


def socket_unit(settings: Settings) -> str:
    """The address, which systemd holds: it stays open while the gateway is exchanged for the next."""
    lines = [
        "# Written by `spark-control install-service`.",
        "[Unit]",
        "Description=The address of Spark Control",
        "Documentation=man:systemd.socket(5)",
        "",
        "[Socket]",
        *(f"ListenStream={each}" for each in addresses(settings)),
        "# Clients that come while the gateway is restarted wait here.",
        "Backlog=2048",
        "NoDelay=yes",
        "# The network may come up later than this.",
        "FreeBind=yes",
        "# However often it has to be started: the address stays.",
        "TriggerLimitIntervalSec=0",
        "",
        "[Install]",
        "WantedBy=sockets.target",
    ]
    return "\n".join(lines) + "\n"


def addresses(settings: Settings) -> list[str]:
    """What to listen on, as a unit has it. Raises CannotInstall."""
    return [
        f"[{each}]:{settings.port}" if ":" in each else f"{each}:{settings.port}" for each in hosts(settings)
    ]


def hosts(settings: Settings) -> list[str]:
    """The addresses of this machine to listen on, by one of which it reaches itself. Raises CannotInstall."""
    host = "127.0.0.1" if settings.host == "localhost" else settings.host
    if not settings.port:
        raise CannotInstall(
            "port = 0 is another one at each start; clients of a service need one that stays."
        )
    if not _is_address(host):
        raise CannotInstall(
            f'a service listens on an address, and {settings.host} is a name; write host = "0.0.0.0" for all '
            "of this machine's addresses, or one of them."
        )
    everywhere = ("0.0.0.0", "::")  # noqa: S104 (only if the settings say so)
    return [host] if host in everywhere or is_loopback(host) else [host, "127.0.0.1"]


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return "%" not in host  # which means something else in a unit


def service_unit(settings: Settings, program: Program) -> str:
    """The process: as a user of its own, in a sandbox, started again whatever happens."""
    return _SERVICE.format(
        program=" ".join(_word(each) for each in program.command),
        settings=SETTINGS,
        socket=SOCKET,
        stop=math.ceil(settings.drain) + _AFTER_THE_DRAIN,
        user=USER,
        state=STATE.name,
        asked=_asked(settings),
        homes=_homes(program.hidden),
    )


def _asked(settings: Settings) -> str:
    """Where `reload` finds the gateway: by loopback, since only there it needs no key."""
    address = addresses(settings)[-1]
    if address.startswith("127.0.0.1:") and settings.host not in ("127.0.0.1", "localhost"):
        return f"--gateway http://{address}"
    return f"--config {SETTINGS}"


def _homes(shown: Sequence[Path]) -> str:
    if not shown:
        return "ProtectHome=yes"
    lines = ["# Of these folders only its own program is there, and cannot be changed.", "ProtectHome=tmpfs"]
    return "\n".join([*lines, *(f"BindReadOnlyPaths={_word(str(each))}" for each in shown)])


def _word(text: str) -> str:
    """As a unit has it. Raises CannotInstall for what would mean something there."""
    if not _SIMPLE.fullmatch(text):
        raise CannotInstall(
            f"{text} cannot be the program of a service, since it has characters in its path that mean something "
            "to systemd; install Spark Control in a folder with a simple name."
        )
    return f'"{text}"' if " " in text else text


def units(settings: Settings, program: Program) -> dict[str, str]:
    """The text of each, by its name."""
    return {SOCKET: socket_unit(settings), SERVICE: service_unit(settings, program)}


_SERVICE = """\
# Written by `spark-control install-service`.
[Unit]
Description=Spark Control, the gateway to this machine's speech engines
After=network.target
# Its address is held by systemd. Whoever stops that stops the gateway too; where systemd could not have it, because
# something else had, the gateway tries for itself until it can.
Wants={socket}
PartOf={socket}
# It is started again for ever: an engine's driver may need an hour, and nobody may be there to help.
StartLimitIntervalSec=0

[Service]
Type=notify
ExecStart={program} serve --config {settings}
ExecReload={program} reload {asked}
Sockets={socket}
WatchdogSec=30
Restart=always
# A crash is over before Home Assistant runs out of patience.
RestartSec=2
TimeoutStartSec=120
# Longer than `drain`, in which answers under way are finished.
TimeoutStopSec={stop}
# Embedded engines and commands that restart an engine go on while answers are finished.
KillMode=mixed
LimitNOFILE=65536
# When memory runs out, let it be an engine that goes: the gateway can bring that one back.
OOMScoreAdjust=-500

User={user}
Group={user}
StateDirectory={state}
StateDirectoryMode=0700
UMask=0077

# Beside its state it can write nowhere, and it sees no home.
ProtectSystem=strict
{homes}
PrivateTmp=yes
PrivateMounts=yes
# The GPU, for nvidia-smi, and the kernel's log, where the driver tells what ails it.
DevicePolicy=closed
DeviceAllow=char-195 rw
DeviceAllow=/dev/kmsg r
AmbientCapabilities=CAP_SYSLOG
CapabilityBoundingSet=CAP_SYSLOG
# It becomes nobody else; so sudo does not work in commands that restart an engine.
NoNewPrivileges=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
KeyringMode=private
LockPersonality=yes
RemoveIPC=yes

[Install]
WantedBy=multi-user.target
Also={socket}
"""
