"""Who is measured: the engine itself, nginx, two plain relays, and the gateway."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from bench.machine import free_port, gateway, python, running
from bench.plain_relays import UPSTREAM

ENGINE = "the engine itself"
NGINX = "nginx"
HTTPX = "FastAPI + httpx"
HTTPX_AIOHTTP = "FastAPI + httpx-aiohttp"
GATEWAY = "Spark Control"

NO_NGINX = "nginx is left out: it is not installed (Debian's package: nginx-light)."
NO_WRK = (
    "The load comes from Python: wrk is not installed (Debian's package: wrk), so fast peers look slower."
)

_NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr error;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_max_body_size 0; client_body_buffer_size 256k;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream engine {{ server 127.0.0.1:{engine}; keepalive 64; keepalive_requests 1000000; }}
  server {{
    listen 127.0.0.1:{port}; keepalive_requests 1000000;
    location / {{
      proxy_pass http://engine; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_buffers 8 32k; proxy_max_temp_file_size 0;
    }}
  }}
}}
"""


@contextlib.contextmanager
def all_of_them(folder: Path, *, nginx: bool) -> Iterator[dict[str, tuple[int, int]]]:
    """Every peer's port and process id, by name. All run; one at a time is to be put under load."""
    engine = free_port()
    peers: dict[str, tuple[int, int]] = {}
    with contextlib.ExitStack() as house:

        def start(name: str, port: int, command: list[str], path: str = "/") -> None:
            env = {UPSTREAM: f"http://127.0.0.1:{engine}"}
            peers[name] = (port, house.enter_context(running(command, port=port, path=path, env=env)))

        start(ENGINE, engine, python("bench.fake_engine", str(engine)))
        if nginx and shutil.which("nginx"):
            port = free_port()
            start(NGINX, port, _nginx(folder, port, engine))
        for name, relay in (HTTPX, "on_httpx"), (HTTPX_AIOHTTP, "on_httpx_aiohttp"):
            port = free_port()
            start(name, port, _uvicorn(relay, port))
        port = free_port()
        start(GATEWAY, port, gateway(folder, port, engine), "/v1/audio/voices")
        yield peers


def _nginx(folder: Path, port: int, engine: int) -> list[str]:
    settings = folder / "nginx.conf"
    settings.write_text(_NGINX.format(folder=folder, port=port, engine=engine))
    return ["nginx", "-p", str(folder), "-c", str(settings)]


def _uvicorn(relay: str, port: int) -> list[str]:
    """With the settings that the gateway gives it."""
    return python(
        "uvicorn", f"bench.plain_relays:{relay}", "--factory", "--port", str(port), "--loop", "uvloop",
        "--http", "httptools", "--no-access-log", "--no-server-header", "--log-level", "warning",
    )  # fmt: skip
