"""What the gateway prints when it starts: where it listens, which engines it has, and what to try."""

from __future__ import annotations

import shutil
import socket
import sys
from collections.abc import Sequence

from spark_control.settings import Settings


def base_url(listening: socket.socket) -> str:
    """The address to give to clients."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}/v1" if ":" in host else f"http://{host}:{port}/v1"


def what_runs_where(settings: Settings, listening: Sequence[socket.socket], *, embedded: bool) -> str:
    lines = [f"Spark Control listens on {' and '.join(map(base_url, listening))}"]
    if embedded:
        lines.append("No upstream is configured, so the embedded CPU engines are starting:")
    lines += [f"  {name}: {upstream.kind} at {upstream.url}" for name, upstream in settings.upstreams.items()]
    return "\n".join(lines)


def what_to_try(base: str) -> str:
    """Where the page is, lines to copy into another terminal, and the settings of a client."""
    page = base.removesuffix("/v1")
    program = "spark-control" if shutil.which("spark-control") else sys.argv[0]
    where = "" if page == "http://127.0.0.1:8090" else f" --gateway {page}"
    return f"""
Open {page}/ in a browser.

In another terminal, speak:

  curl {base}/audio/speech -H 'Content-Type: application/json' \\
    -d '{{"model": "tts-1", "voice": "alloy", "input": "Please turn on the lights in the kitchen."}}' \\
    -o speech.mp3

and be heard:

  curl {base}/audio/transcriptions -F model=whisper-1 -F file=@speech.mp3

Open WebUI, Admin Panel > Settings > Audio:

  Speech-to-Text   Engine: OpenAI   API Base URL: {base}   API Key: anything   Model: whisper-1
  Text-to-Speech   Engine: OpenAI   API Base URL: {base}   API Key: anything   Model: tts-1   Voice: alloy

(From a container, this machine is not 127.0.0.1: docs/clients/open-webui.md.)

See a wedge healed under your eyes: press "Wedge it" on the page, or

  {program} drill wedge parakeet{where}

The embedded engines are small and mishear a word in ten or so; a Spark's own do better.
Ctrl-C ends it."""
