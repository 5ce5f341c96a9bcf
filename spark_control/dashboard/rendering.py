"""Templates into pages, with the headers that keep a page to itself: nothing from elsewhere runs in it or frames it."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from spark_control import __version__
from spark_control.dashboard.charts import area, bars, path
from spark_control.wording import byte_count, figure, lasting, plain, segment

_HERE = Path(__file__).parent

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "media-src 'self' blob:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Content-Security-Policy of every page. No script and no style is in a page, so what an engine says is neither."""

HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",  # with none at all, a form's Origin is null, and may be anybody's
    "permissions-policy": "microphone=(self), camera=(), geolocation=()",
    "cache-control": "no-store",
}

MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


class Pages:
    """The templates, and the files that they refer to."""

    def __init__(self) -> None:
        self.assets = {
            each.name: each.read_bytes()
            for each in sorted((_HERE / "assets").iterdir())
            if each.suffix in MEDIA_TYPES
        }
        self.edition = sha256(b"".join(self.assets.values()) + __version__.encode()).hexdigest()[:16]
        """Another one after an update: a page that is still open can tell."""
        self._templates = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            auto_reload=False,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= {
            "bytes": byte_count,
            "figure": figure,
            "lasting": lasting,
            "plain": plain,
            "segment": segment,
        }
        self._templates.globals |= {
            "area": area,
            "asset": _address,
            "bars": bars,
            "edition": self.edition,
            "path": path,
            "version": __version__,
        }

    def part(self, name: str, **values: Any) -> str:
        """A piece of a page."""
        return self._templates.get_template(name).render(values)

    def page(self, name: str, status: int = 200, **values: Any) -> Response:
        """A page as the answer to a request."""
        return HTMLResponse(self.part(name, **values), status, HEADERS)


def _address(name: str) -> str:
    return f"/assets/{name}"
