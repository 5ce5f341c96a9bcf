"""What each address is for, as far as access goes. Pure.

What is named here as open is open; everything else is closed.
"""

from __future__ import annotations

from enum import Enum


class Purpose(Enum):
    """What a request is for."""

    OPEN = "open"
    """What clients ask before they have a key."""
    SPEECH = "speech"
    TRANSCRIPTION = "transcription"
    CHAT = "chat"
    READ = "read"
    WRITE = "write"
    """To change something of the gateway itself."""


DOES_WORK = (Purpose.SPEECH, Purpose.TRANSCRIPTION, Purpose.CHAT)
"""What keeps an engine busy."""

_OPEN = ("/v1/models", "/v1/audio/voices", "/v1/audio/models", "/health", "/healthz", "/readyz", "/status")
_LOGIN = ("/login", "/logout")
"""What a browser does to get a key, or to get rid of it. It judges by itself whose page asks."""
_OPEN_BELOW = ("/v1/models/", "/assets/")
_WORK = {
    "/v1/audio/speech": Purpose.SPEECH,
    "/v1/audio/speech/base64": Purpose.SPEECH,
    "/v1/audio/speech/batch": Purpose.SPEECH,
    "/v1/audio/transcriptions": Purpose.TRANSCRIPTION,
    "/v1/audio/translations": Purpose.TRANSCRIPTION,
    "/v1/chat/completions": Purpose.CHAT,
    "/v1/completions": Purpose.CHAT,
    "/v1/embeddings": Purpose.CHAT,
    "/v1/responses": Purpose.CHAT,
    "/v1/rerank": Purpose.CHAT,
}
_READING = ("GET", "HEAD")


def purpose_of(method: str, path: str) -> Purpose:
    """What a request for `path`, as the router sees it, is for."""
    if not path.isprintable():
        # A line break at an end could make the router see another address than this does.
        return Purpose.WRITE
    if path in _WORK:
        return _WORK[path]
    if path in _LOGIN:
        return Purpose.OPEN
    if method not in _READING:
        return Purpose.WRITE if path.startswith("/api/") else Purpose.READ
    if path.startswith("/v1/audio/voices/"):
        return Purpose.SPEECH if path.endswith("/preview") else Purpose.OPEN
    return Purpose.OPEN if path in _OPEN or path.startswith(_OPEN_BELOW) else Purpose.READ
