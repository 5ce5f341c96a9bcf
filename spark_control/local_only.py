"""Who may change something: an admin key, a program on this machine, or a page that this gateway itself has shown.

Nobody on this machine has to log in to restart an engine, so this is all that
stands between the engines and the web. A browser on this machine runs other people's pages,
and they can send requests here; a proxy on this machine brings other people's
requests. Each check below is one of the ways in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address

from starlette.datastructures import Headers
from starlette.requests import Request

from spark_control.caller import caller_of
from spark_control.errors import Forbidden, plain

_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([0-9a-z.-]+))(?::[0-9]{1,5})?", re.IGNORECASE | re.ASCII)

_TOLD_BY_PROXIES = re.compile(
    r"(x-)?forwarded(-.*)?|x-(real|client|cluster-client|remote|source)-(ip|addr|user)|via|x-original-.*|x-envoy-.*"
    r"|cf-(connecting-ip|ray|visitor)|true-client-ip|fastly-client-ip|tailscale-.*|x-arr-.*|x-amzn-.*|cdn-loop"
    r"|proxy-connection"
)
"""Headers with which proxies, tunnels and delivery networks give themselves away."""

_OUR_OWN_PAGES = ("same-origin", "none")
"""What a browser says of a request's site: from the page's own origin, or asked for by the person."""


async def local_only(request: Request) -> None:
    """Raise Forbidden unless an admin key or this machine itself asks; a route that writes depends on it."""
    caller = caller_of(request.scope)
    if caller.admin and not caller.by_cookie:
        return  # no browser adds a key by itself, so no page can have made it ask
    reason = (
        from_elsewhere(request.headers, looks=False) if caller.admin else _stranger(request, request.headers)
    )
    if reason:
        raise Forbidden(
            f"Only this machine itself, or an admin key, may do that: {reason}.", code="local_only"
        )
    if _has_body(request.headers) and not _is_json(request.headers):
        # A form can be posted from any page; JSON makes the browser ask first, and nobody here says yes.
        raise plain(415, "Send the body as JSON, with the header Content-Type: application/json.")


def may_change(request: Request) -> str | None:
    """Why nothing may be changed from the page that answers this request; None if it may.

    That page will ask as one of the gateway's own, wherever the person came from.
    """
    caller = caller_of(request.scope)
    if caller.admin:
        return None
    told = [each for each in request.headers.raw if each[0] not in (b"origin", b"sec-fetch-site")]
    reason = _stranger(request, Headers(raw=told))
    return f"the key {caller.key} is no admin key" if reason and caller.key else reason


def from_elsewhere(headers: Headers, *, looks: bool) -> str | None:
    """Why another page may have sent a request with the browser's cookie; None if it was the gateway's own. Pure.

    A cookie is shown to every port of a host, and sent by pages of every port: `SameSite` does not tell them
    apart. Browsers say whose page it is over HTTPS and on this machine. Over plain HTTP there is the Origin,
    which comes with everything but a request that only `looks`, and whose answer no other page can read.
    """
    hosts, origins, sites = (headers.getlist(name) for name in ("host", "origin", "sec-fetch-site"))
    if len(hosts) != 1 or len(origins) > 1:
        return "it has no Host, or two, or two Origins"
    if sites:
        ours = sites == ["same-origin"] or (looks and sites == ["none"])
    else:
        ours = _is_ours(origins[0], hosts[0]) if origins else looks
    return None if ours else "it comes from a page of another site"


def _stranger(request: Request, headers: Headers) -> str | None:
    peer = request.client.host if request.client else ""
    return stranger(peer, headers, request.scope.get("http_version", ""))


def stranger(peer: str, headers: Headers, http_version: str) -> str | None:
    """Why a request may be somebody else's; None if it is this machine's own. Pure."""
    if not is_loopback(peer):
        return "the request came over the network"
    if proxied := through_proxy(headers, http_version):
        return proxied
    hosts = headers.getlist("host")
    if len(hosts) != 1 or not names_this_machine(hosts[0]):
        # The page of a name that leads here only since a moment ago: DNS rebinding.
        return "its Host is not localhost, 127.0.0.1 or [::1]"
    if not all(_is_ours(origin, hosts[0]) for origin in headers.getlist("origin")):
        return "it comes from the page of another address"
    if not all(site in _OUR_OWN_PAGES for site in headers.getlist("sec-fetch-site")):
        return "it comes from a page of another site"
    return None


def through_proxy(headers: Headers, http_version: str) -> str | None:
    """What shows that a proxy has sent a request on, for whomever; None if nothing does. Pure."""
    if http_version == "1.0":  # nginx's, unless told otherwise, and nobody else's nowadays
        return "HTTP/1.0 is what proxies speak"
    told = next((name for name in headers if _TOLD_BY_PROXIES.fullmatch(name)), None)
    return told and f"the header {told} tells of a proxy"


def names_this_machine(host: str) -> bool:
    """Whether a Host header is `localhost` or a literal loopback address, which no DNS server can point elsewhere.

    Not `anything.localhost`: some resolvers ask the network for it.
    """
    found = _HOST.fullmatch(host)
    if not found:
        return False
    literal, name = found.groups()
    return name.lower() == "localhost" or is_loopback(name) if name else is_loopback(literal)


def is_loopback(address: str) -> bool:
    """Whether it is 127.0.0.0/8 or ::1, or the former as a socket for both families shows it."""
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, IPv6Address):
        ip = ip.ipv4_mapped or ip
    return ip.is_loopback


def _is_ours(origin: str, host: str) -> bool:
    """Whether the page is the gateway's own. Another port of this machine may show anybody's pages."""
    return origin.lower() in (f"http://{host.lower()}", f"https://{host.lower()}")


def _has_body(headers: Mapping[str, str]) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0").strip("0 ") != ""


def _is_json(headers: Headers) -> bool:
    types = headers.getlist("content-type")
    return len(types) == 1 and types[0].partition(";")[0].strip().lower() == "application/json"
