"""What a person looks at: the page, its stream, its files, and the page for the wall."""

from __future__ import annotations

from spark_control.api_description.operations import (
    EVENTS,
    JSON,
    Paths,
    answer,
    body,
    in_path,
    in_query,
    operation,
)
from spark_control.api_description.shapes import Schemas, event, flag, moment, one_of, text, the, thing

SCHEMAS: Schemas = {
    "Standing": thing(
        "The house in a sentence.",
        {
            "ok": flag("Whether everything that is offered is served."),
            "tone": one_of(["ok", "busy", "bad", "idle"], "How the page is coloured."),
            "sentence": text(),
            "at": moment("When that was so."),
        },
    ),
    "PageEvent": thing(
        "`hello`: `at` and `edition`; `part`: `id` of an element and `html` to be inside of it; `beat`: nothing.",
        {"at": moment(), "edition": text("Another one after an update."), "id": text(), "html": text()},
        optional=("at", "edition", "id", "html"),
    ),
}

_HTML = {"text/html": text()}
_FORM = thing(
    "", {"key": text("The key's text."), "next": text("Where to go on: a path here.")}, optional=("next",)
)
_FOREIGN = answer("The request does not come from a page of the gateway's own.", _HTML)

_STANDING = {"text/html": text(), JSON: the("Standing")}

PATHS: Paths = {
    "/": {
        "get": operation(
            "showPage",
            "The page: how everything is, and what can be done about it.",
            {
                "200": answer("The page.", _HTML),
                "401": answer(
                    "A key is needed. A browser is led to `/login`.",
                    {JSON: the("Error"), **_HTML},
                    "WWW-Authenticate",
                ),
            },
            tag="page",
        )
    },
    "/login": {
        "get": operation(
            "showLogin",
            "The form into which a person types a key.",
            {
                "200": answer("The form.", _HTML),
                "303": answer("On to `next`, for who needs no key, or has logged in.", _HTML),
            },
            parameters=[in_query("next", "Where to go on: a path here.", text())],
            tag="page",
            open_=True,
        ),
        "post": operation(
            "logIn",
            "Have the browser remember a key, for the gateway's own pages.",
            {
                "303": answer("On to `next`; `Set-Cookie` has the session, of 30 days.", _HTML),
                "401": answer("A wrong key.", {JSON: the("Error"), **_HTML}, "WWW-Authenticate"),
                "403": _FOREIGN,
                "429": answer("Too many wrong keys.", _HTML, "Retry-After"),
            },
            fails=(400, 413, 415),
            body=body({"application/x-www-form-urlencoded": _FORM}),
            description="`Sec-Fetch-Site` has to be `same-origin`; without it `Origin` has to go with `Host`.",
            tag="page",
        ),
    },
    "/logout": {
        "post": operation(
            "logOut",
            "Have the browser forget the key.",
            {"303": answer("On to `/login`.", _HTML), "403": _FOREIGN},
            tag="page",
            open_=True,
        )
    },
    "/live": {
        "get": operation(
            "keepPage",
            "The pieces of that page that change, whenever they do.",
            {
                "200": answer(
                    "First `hello`, then every piece, then those that have changed. "
                    "It ends when the gateway is about to.",
                    {EVENTS: event(the("PageEvent"), named=True)},
                )
            },
            tag="page",
        )
    },
    "/status": {
        "get": operation(
            "showStanding",
            "One sentence, for a tablet on the wall and for uptime checkers; JSON for who accepts that.",
            {
                "200": answer("Everything that is offered is served.", _STANDING),
                "503": answer("Something is not, or the gateway starts or ends.", _STANDING),
            },
            tag="page",
            open_=True,
        )
    },
    "/assets/{name}": {
        "get": operation(
            "getAsset",
            "A file of the page.",
            {
                "200": answer(
                    "The file.",
                    dict.fromkeys(("text/css", "text/javascript", "image/svg+xml"), text()),
                )
            },
            fails=(404,),
            parameters=[in_path("name", "Its name.", examples=["base.css"])],
            tag="page",
            open_=True,
        )
    },
}
