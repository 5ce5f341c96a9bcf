"""The real Caddy and the real nginx, with the files of `deploy/` as they are, on their real ports.

Start them in a `network` of the test's own.
"""

from __future__ import annotations

import os
import re
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.conftest import need
from tests.live import eventually
from tests.real.machines.engine import ROOT
from tests.real.machines.network import ELSEWHERE, HERE

CADDYFILE = ROOT / "deploy" / "caddy" / "Caddyfile"
NGINX = ROOT / "deploy" / "nginx" / "spark-control.conf"
NAME = "spark.local"

_CERTIFICATES = "/etc/nginx/spark-control"


@dataclass(frozen=True)
class Proxy:
    """One that runs."""

    authority: Path
    """The certificate that a device has to trust."""

    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.authority))

    def client(self, scheme: str = "https", *, at: str = ELSEWHERE, **more: Any) -> httpx.Client:
        """A client that finds it under its name, from the address `at`."""

        def under_its_name(request: httpx.Request) -> None:
            request.headers.setdefault("host", NAME)
            request.extensions["sni_hostname"] = NAME

        return httpx.Client(
            base_url=f"{scheme}://{HERE}",
            headers={"host": NAME},
            transport=httpx.HTTPTransport(verify=self.trust(), local_address=at),
            event_hooks={"request": [under_its_name]},
            timeout=20,
            **more,
        )

    @contextmanager
    def connection(self, scheme: str) -> Iterator[socket.socket]:
        """Likewise, for bytes that no client of HTTP would send."""
        port = 443 if scheme == "https" else 80
        with socket.create_connection((HERE, port), timeout=10, source_address=(ELSEWHERE, 0)) as bare:
            if scheme == "http":
                yield bare
                return
            with self.trust().wrap_socket(bare, server_hostname=NAME) as secure:
                yield secure


@contextmanager
def caddy(folder: Path, edited: Callable[[str], str] = str) -> Iterator[Proxy]:
    """Caddy, whose home is `folder`."""
    program = need("caddy", "caddy")
    file = folder / "Caddyfile"
    file.write_text(edited(CADDYFILE.read_text()))
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    checked = subprocess.run(
        [program, "validate", "--config", str(file), "--adapter", "caddyfile"],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    authority = folder / ".local/share/caddy/pki/authorities/local/root.crt"
    command = [program, "run", "--config", str(file), "--adapter", "caddyfile"]
    with _running(command, Proxy(authority), folder / "log", env=environ) as proxy:
        yield proxy


@contextmanager
def nginx(folder: Path, edited: Callable[[str], str] = str) -> Iterator[Proxy]:
    """Nginx, with Debian's own settings around the file, and the certificates that the documentation makes."""
    program = need("nginx", "nginx-light")
    make_certificates(folder)
    (folder / "spark-control.conf").write_text(edited(NGINX.read_text()).replace(_CERTIFICATES, str(folder)))
    parts = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    (folder / "nginx.conf").write_text(
        f"user root; pid {folder}/pid; daemon off; events {{}}"
        "http { access_log off; gzip on; sendfile on; tcp_nopush on; default_type application/octet-stream;"
        + "".join(f"{part}_temp_path {folder}/{part};" for part in parts)
        + f"include {folder}/spark-control.conf; }}"
    )
    command = [program, "-e", "stderr", "-c", str(folder / "nginx.conf")]
    checked = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    with _running(command, Proxy(folder / "root.crt"), folder / "log") as proxy:
        yield proxy


def make_certificates(folder: Path) -> None:
    """The commands of docs/https.md, in `folder`."""
    (commands,) = re.findall(r"```sh\n(openssl .*?)```", (ROOT / "docs" / "https.md").read_text(), re.DOTALL)
    need("openssl", "openssl")
    subprocess.run(["sh", "-e", "-c", commands], cwd=folder, capture_output=True, check=True)


@contextmanager
def _running(command: list[str], proxy: Proxy, said: Path, **more: Any) -> Iterator[Proxy]:
    """That program, as long as the block lasts."""
    with said.open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, **more)
    try:
        eventually(lambda: process.poll() is not None or _answers(proxy))
        assert process.poll() is None, said.read_text()
        yield proxy
    finally:
        process.terminate()
        process.wait()


def _answers(proxy: Proxy) -> bool:
    try:
        with proxy.connection("https"):
            return True
    except OSError:  # no authority, nobody at the port, or no certificate yet
        return False


PROXIES: dict[str, Callable[..., AbstractContextManager[Proxy]]] = {"caddy": caddy, "nginx": nginx}
