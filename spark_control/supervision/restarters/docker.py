"""Restarts a container through Docker's Engine API. The proof is that `State.StartedAt` has moved."""

from __future__ import annotations

import asyncio
import os
import pwd
import re
import stat
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from spark_control.supervision.restarters.base import RestartFailed
from spark_control.supervision.restarters.quoted import because

_GRACE = 10
"""Seconds that the container's process may take to end before Docker kills it."""

_ASKING = 10.0
_SURVIVES = "did not receive an exit event"
_FORBIDDEN = "this user may not use Docker's socket; docs/restarts.md has narrower ways than to allow it"


class DockerRestarter:
    """One container, behind a unix socket or a socket proxy's TCP port."""

    kind = "docker"

    def __init__(self, container: str, host: str, within: float, *, as_user: str | None = None) -> None:
        self.what = container
        self._within = max(within, _GRACE + 30.0)
        self._as_user = as_user
        self._socket = host.removeprefix("unix://") if host.startswith("unix://") else None
        self._base = "http://docker" if self._socket else host.replace("tcp://", "http://", 1)

    async def rehearse(self) -> str:
        """What speaks for a restart, without one: a phrase. Raises RestartFailed."""
        async with self._client() as client:
            client.base_url = client.base_url.join(await self._version(client))
            await self._started(client)
        if self._socket and self._as_user and not _may_write(self._socket, self._as_user):
            raise RestartFailed(_FORBIDDEN)
        way = (
            "its socket may be used"
            if self._socket
            else "its API answers; whether it restarts, only one tells"
        )
        return f"the container is there, and {way}"

    async def restart(self) -> None:
        async with self._client() as client:
            client.base_url = client.base_url.join(await self._version(client))
            before = await self._started(client)
            try:
                async with asyncio.timeout(self._within):
                    await self._restarted(client)
            except TimeoutError:
                message = (
                    f"Docker did not restart {self.what} in {self._within:g} s; it may hang in the driver"
                )
                raise RestartFailed(message) from None
            if await self._started(client) == before:
                raise RestartFailed(f"Docker says that {self.what} was restarted, but it runs since {before}")

    async def _restarted(self, client: httpx.AsyncClient) -> None:
        answer = await self._restart_once(client)
        if _SURVIVES in answer.text:
            # It was killed, and is slow to die; Docker does not start it again when it has. What is dead, it starts.
            answer = await self._restart_once(client)
        if answer.status_code != httpx.codes.NO_CONTENT:
            raise RestartFailed(self._reason(answer))

    async def _restart_once(self, client: httpx.AsyncClient) -> httpx.Response:
        return await self._ask(client, "POST", f"{self._path}/restart?t={_GRACE}", read=self._within)

    async def _started(self, client: httpx.AsyncClient) -> str:
        answer = await self._ask(client, "GET", f"{self._path}/json")
        if answer.status_code != httpx.codes.OK:
            raise RestartFailed(self._reason(answer))
        try:
            state: dict[str, Any] = answer.json()["State"]
            return str(state["StartedAt"])
        except (ValueError, KeyError, TypeError):
            raise RestartFailed("what answers at `host` is not Docker's API") from None

    async def _version(self, client: httpx.AsyncClient) -> str:
        """The path of the newest API there; without one, which is on its way out, where a proxy does not tell."""
        answer = await self._ask(client, "GET", "/version")
        found = re.search(r'"ApiVersion":\s*"(1\.\d{2,3})"', answer.text) if answer.is_success else None
        return f"/v{found.group(1)}/" if found else "/"

    def _client(self) -> httpx.AsyncClient:
        # Without TLS, so without reading a machine's certificates, which takes its time.
        transport = httpx.AsyncHTTPTransport(uds=self._socket, verify=False)
        return httpx.AsyncClient(transport=transport, base_url=self._base, trust_env=False)

    @property
    def _path(self) -> str:
        return f"/containers/{quote(self.what, safe='')}"

    async def _ask(
        self, client: httpx.AsyncClient, method: str, path: str, read: float = _ASKING
    ) -> httpx.Response:
        try:
            return await client.request(method, path, timeout=httpx.Timeout(_ASKING, read=read))
        except httpx.ConnectError as exc:
            raise RestartFailed(self._unreachable(str(exc))) from None
        except httpx.TimeoutException:
            raise RestartFailed("Docker's API does not answer") from None
        except httpx.HTTPError:
            raise RestartFailed("what answers at `host` broke off, or does not speak HTTP") from None

    def _unreachable(self, why: str) -> str:
        if "Permission denied" in why:
            return _FORBIDDEN
        if "No such file" in why:
            return "Docker's socket is not there; is Docker running, and is `host` right?"
        return "nobody answers as Docker's API; is Docker running, and is `host` right?"

    def _reason(self, answer: httpx.Response) -> str:
        said = _message(answer)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return f"Docker has no container {self.what}"
        if answer.status_code == httpx.codes.FORBIDDEN:
            return f"the socket proxy does not allow to see and restart {self.what}; docs/restarts.md has one that does"
        if answer.status_code == httpx.codes.CONFLICT:
            return f"Docker cannot restart {self.what} as it is now{because(said)}"
        if _SURVIVES in said:
            return (
                f"{self.what} survives being killed: it hangs in the driver, and its machine has to be booted"
            )
        return f"Docker answered {answer.status_code}{because(said)}"


def _message(answer: httpx.Response) -> str:
    try:
        said = answer.json()["message"]
    except (ValueError, KeyError, TypeError):
        return ""
    return said if isinstance(said, str) else ""


def _may_write(path: str, name: str) -> bool:
    """Whether a user may, as far as the file's own rights go."""
    user, found = pwd.getpwnam(name), Path(path).stat()
    if found.st_uid == user.pw_uid:
        return bool(found.st_mode & stat.S_IWUSR)
    if found.st_gid in os.getgrouplist(name, user.pw_gid):
        return bool(found.st_mode & stat.S_IWGRP)
    return bool(found.st_mode & stat.S_IWOTH)
