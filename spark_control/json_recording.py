"""A recording that comes inside of JSON instead of a form, as newer Open WebUI can send it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator

from pydantic import BaseModel, StrictStr, ValidationError

from spark_control.errors import InvalidRequest, TooLarge
from spark_control.form import Form
from spark_control.uploads import Upload, megabytes

LONGEST = 64 * 1024 * 1024
"""Bytes of JSON, which is held in memory while it is read."""


class _InputAudio(BaseModel):
    data: StrictStr


class _Body(BaseModel):
    """`{"model", "language", "input_audio": {"data": base64, "format"}}`, and a form's other fields."""

    input_audio: _InputAudio
    model: object = None
    language: StrictStr | None = None
    prompt: StrictStr | None = None
    response_format: StrictStr | None = None


async def read_json_recording(body: AsyncIterator[bytes], upload: Upload) -> Form:
    """The same as a form would hold, the decoded sound in `upload`. Raises InvalidRequest or TooLarge."""
    raw = bytearray()
    async for piece in body:
        raw += piece
        if len(raw) > LONGEST:
            raise TooLarge(f"JSON may be {megabytes(LONGEST)} large; send the audio as multipart/form-data.")
    try:
        read = _Body.model_validate_json(bytes(raw))
        await upload.write(base64.b64decode(read.input_audio.data, validate=True))
    except (ValidationError, binascii.Error, ValueError):
        message = (
            'Send the audio as multipart/form-data in a part named "file", or as input_audio.data in JSON.'
        )
        raise InvalidRequest(message, code="invalid_multipart", param="file") from None
    fields = {name: value for name, value in read if isinstance(value, str)}
    return Form(upload, {name: [value] for name, value in fields.items()})
