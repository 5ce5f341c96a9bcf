"""Restarts a container through Docker's Engine API. The proof is that `State.StartedAt` has moved."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

import httpx

from spark_control.supervision.restarters.base import RestartFailed
from spark_control.upstreams.refusals import stated_reason

_GRACE = 10
"""Seconds that the container's process may take to end before Docker kills it."""

_ASKING = 10.0


class DockerRestarter:
    """One container, behind a unix socket or a socket proxy's TCP port."""

    kind = "docker"

    def __init__(self, container: str, host: str, within: float) -> None:
        self.what = container
        self._within = max(within, _GRACE + 30.0)
        self._socket = host.removeprefix("unix://") if host.startswith("unix://") else None
        self._base = "http://docker" if self._socket else host.replace("tcp://", "http://", 1)

    async def restart(self) -> None:
        async with self._client() as client:
            before = await self._started(client)
            try:
                async with asyncio.timeout(self._within):
                    answer = await self._ask(client, "POST", f"restart?t={_GRACE}")
            except TimeoutError:
                message = f"Docker did not restart {self.what} in {self._within:g} s; it may hang in the driver"
                raise RestartFailed(message) from None
            if answer.status_code != httpx.codes.NO_CONTENT:
                raise RestartFailed(self._reason(answer))
            if await self._started(client) == before:
                raise RestartFailed(f"Docker says that {self.what} was restarted, but it runs since {before}")

    def _client(self) -> httpx.AsyncClient:
        transport = httpx.AsyncHTTPTransport(uds=self._socket) if self._socket else None
        timeout = httpx.Timeout(_ASKING, read=self._within)
        return httpx.AsyncClient(transport=transport, base_url=self._base, timeout=timeout, trust_env=False)

    async def _started(self, client: httpx.AsyncClient) -> str:
        answer = await self._ask(client, "GET", "json")
        if answer.status_code != httpx.codes.OK:
            raise RestartFailed(self._reason(answer))
        try:
            state: dict[str, Any] = answer.json()["State"]
            return str(state["StartedAt"])
        except (ValueError, KeyError, TypeError):
            raise RestartFailed("what answers as Docker's API is something else") from None

    async def _ask(self, client: httpx.AsyncClient, method: str, what: str) -> httpx.Response:
        """Without a version in the path, which every Docker and every socket proxy takes."""
        try:
            return await client.request(method, f"/containers/{quote(self.what, safe='')}/{what}")
        except httpx.ConnectError as exc:
            raise RestartFailed(self._unreachable(exc)) from None
        except httpx.HTTPError:
            raise RestartFailed("Docker's API broke off, or did not answer in time") from None

    def _unreachable(self, exc: httpx.ConnectError) -> str:
        if "Permission denied" in str(exc):
            return "this user may not use Docker's socket; docs/restarts.md tells of two ways to allow it"
        return "Docker's API cannot be reached: is Docker running, and is `host` right?"

    def _reason(self, answer: httpx.Response) -> str:
        said = stated_reason(answer.content)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return f"Docker has no container {self.what}"
        if answer.status_code == httpx.codes.FORBIDDEN:
            return "the socket proxy does not allow this; it needs CONTAINERS=1, POST=1 and ALLOW_RESTARTS=1"
        if answer.status_code == httpx.codes.CONFLICT:
            return f"Docker cannot restart {self.what} as it is now" + (f": {said}" if said else "")
        return f"Docker answered {answer.status_code}" + (f": {said}" if said else "")
