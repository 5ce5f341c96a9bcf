"""How a person's browser comes in: a key, typed once, becomes a cookie that is for the gateway's own pages alone."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

import structlog
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from spark_control.bodies import whole
from spark_control.caller import caller_of
from spark_control.dashboard.rendering import Pages
from spark_control.errors import GatewayError, RateLimited, Unauthenticated, plain
from spark_control.keys import Keys
from spark_control.local_only import from_elsewhere, stranger
from spark_control.sessions import Sessions, forget, keep
from spark_control.wrong_keys import WrongKeys, source_of

log = structlog.get_logger()

_FORM = "application/x-www-form-urlencoded"
_FORM_BYTES = 4096
_FIELDS = 16
_LOCAL_PATH = re.compile(r"/(?:[A-Za-z0-9_-]+(?:/[A-Za-z0-9_-]+)*)?")
_WRONG = "This key opens nothing here. Those that do, by name: spark-control key list."
_ELSEWHERE = (
    "The browser does not say that this form came from here. A proxy in front has to leave Host as it is."
)


def build_login_router(pages: Pages, sessions: Sessions, keys: Keys, wrong_keys: WrongKeys) -> APIRouter:
    """`/login` and `/logout`."""
    router = APIRouter(tags=["page"])

    def form(request: Request, goal: str, refused: GatewayError | None = None) -> Response:
        """The page with the form; `refused` is why there is nothing else."""
        told = {"goal": goal, "caller": caller_of(request.scope), "refused": refused}
        answer = pages.page("login.html", refused.status if refused else 200, **told)
        for name in ("retry-after", "www-authenticate"):
            if refused and name in (headers := refused.response().headers):
                answer.headers[name] = headers[name]
        return answer

    @router.get("/login", response_class=Response)
    async def login_page(request: Request) -> Response:
        """The form; who is to go on to `next`, and may already, goes there."""
        goal = local_path(request.query_params.get("next"))
        known = "next" in request.query_params and _may_look(request)
        return _onwards(goal) if known or not keys.required else form(request, goal)

    @router.post("/login", response_class=Response)
    async def login(request: Request) -> Response:
        if from_elsewhere(request.headers, looks=False):  # or another page could log its own key in here
            return form(request, "/", plain(403, _ELSEWHERE))
        fields = await _fields(request)
        goal = local_path(fields.get("next"))
        if not keys.required:
            return _onwards(goal)
        source = source_of(request.client.host if request.client else "")
        key = keys.find(fields.get("key", "").strip())
        if key is None:
            try:
                await wrong_keys.slow_down(source)
            except RateLimited as exc:
                return form(request, goal, exc)
            return form(request, goal, Unauthenticated(_WRONG))
        log.info("logged in", key=key.name, address=source)
        answer = _onwards(goal)
        keep(answer, sessions.begun(key), secure=_is_secure(request))
        return answer

    @router.post("/logout", response_class=Response)
    async def logout(request: Request) -> Response:
        if from_elsewhere(request.headers, looks=False):
            return form(request, "/", plain(403, _ELSEWHERE))
        log.info("logged out", key=caller_of(request.scope).key)
        answer = _onwards("/login")
        forget(answer, secure=_is_secure(request))
        return answer

    return router


def local_path(text: str | None) -> str:
    """Where to go on: a page of the gateway's own, whatever a link has asked for. Pure."""
    return text if text and _LOCAL_PATH.fullmatch(text) else "/"


def _onwards(path: str) -> Response:
    headers = {"location": path, "cache-control": "no-store"}
    return Response(status_code=303, headers=headers, media_type="text/html")


def _may_look(request: Request) -> bool:
    peer = request.client.host if request.client else ""
    local = stranger(peer, request.headers, request.scope.get("http_version", "")) is None
    return local or caller_of(request.scope).key is not None


def _is_secure(request: Request) -> bool:
    """Whether the browser speaks HTTPS, be it with a proxy: it says so itself, and nobody else is believed."""
    return request.url.scheme == "https" or request.headers.get("origin", "").startswith("https://")


async def _fields(request: Request) -> dict[str, str]:
    """The form. Raises GatewayError."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise plain(415, f"Send the form as {_FORM}.")
    body = await whole(request, _FORM_BYTES)
    try:
        return dict(
            parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=_FIELDS)
        )
    except ValueError:
        raise plain(400, f"The form has {_FIELDS} fields at most.") from None
