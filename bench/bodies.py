"""What the benchmarks send and what the fake engine answers: bytes of the right shape, and nothing in them."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass

from spark_control.supervision.canaries import CLIP_TEXT

SPOKEN_RATE = 22_050
"""Hz that the gateway asks of a speaking engine."""

RATE = 16_000
"""Hz: what engines hear best, and the gateway passes on untouched. Any other is decoded first."""

ANSWER_BYTES = 100 * 1024

TRANSCRIPT = json.dumps({"text": CLIP_TEXT}).encode()
"""The words of the gateway's canary, so that it finds the engine in good health."""

VOICES = json.dumps({"en-US": {"voices": ["Magpie-Multilingual.EN-US.Mia"]}}).encode()
"""In Magpie's shape: the voices by the locales of their model."""

_BOUNDARY = "9d3f0a6be1c74258a07f6c3d9e5b4812"


@dataclass(frozen=True, slots=True)
class Post:
    """A request as a client sends it."""

    path: str
    content_type: str
    body: bytes

    @property
    def headers(self) -> dict[str, str]:
        """The same sentence comes again and again, and each time it is the engine that is to speak it."""
        return {"Content-Type": self.content_type, "Cache-Control": "no-store"}

    def raw(self) -> bytes:
        """Its bytes on the wire."""
        headers = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"{headers}Content-Length: {len(self.body)}\r\n\r\n"
        )
        return head.encode() + self.body


def wav(size: int, rate: int = RATE) -> bytes:
    """A mono 16-bit WAV of `size` bytes, header included."""
    data = size - 44
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", size - 8, b"WAVE", b"fmt ", 16,
                       1, 1, rate, 2 * rate, 2, 16, b"data", data)  # fmt: skip
    # A ramp and not silence: bytes that were lost or swapped must show.
    ramp = struct.pack("<65536H", *range(65536))
    return head + (ramp * (data // len(ramp) + 1))[:data]


def hear(recording: bytes) -> Post:
    """The upload of a recording, as OpenAI's clients post it."""
    before = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n'
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="said.wav"\r\n'
        "Content-Type: audio/wav\r\n\r\n"
    )
    body = before.encode() + recording + f"\r\n--{_BOUNDARY}--\r\n".encode()
    return Post("/v1/audio/transcriptions", f"multipart/form-data; boundary={_BOUNDARY}", body)


def speak() -> Post:
    """A sentence to be spoken."""
    wanted = {"model": "tts-1", "voice": "alloy", "input": "The train to the coast leaves at noon.",
              "response_format": "wav"}  # fmt: skip
    return Post("/v1/audio/speech", "application/json", json.dumps(wanted).encode())
