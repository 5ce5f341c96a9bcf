"""Reads a multipart form as it arrives: fields in any order, chunked or not, one file.

python-multipart finds the parts. Starlette's own reader would do, but takes a
form that was cut off for a whole one, so half a recording would be
transcribed as if it were all of it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from spark_control.errors import InvalidRequest, TooLarge
from spark_control.uploads import Upload, megabytes

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

_FIELD_BYTES = 64 * 1024
_PARTS = 200


@dataclass(frozen=True, slots=True)
class Form:
    """What came: the file, and each field's values in order."""

    file: Upload | None
    fields: dict[str, list[str]]

    def last(self, name: str) -> str | None:
        """The last value of a field; None if it is absent or blank, which clients mean alike."""
        values = self.fields.get(name)
        return (values[-1].strip() or None) if values else None

    def all(self, name: str) -> list[str]:
        """Every value of a list field, whether its name was sent as `name` or `name[]`."""
        return [*self.fields.get(name, ()), *self.fields.get(f"{name}[]", ())]


async def read_form(content_type: str, body: AsyncIterator[bytes], file: Upload, *, file_field: str) -> Form:
    """Read `body` to its end; the part called `file_field` goes into `file`, which stays the caller's to close.

    Raises InvalidRequest (broken form) or TooLarge.
    """
    reader = _Reader(file_field)
    # It does not know its parser: a ring of the two would be left to the garbage collector with every form.
    try:
        parser = MultipartParser(_boundary(content_type), reader.callbacks())
        async for piece in body:
            # Past the closing boundary there may be an epilogue, which means nothing.
            if not reader.ended:
                parser.write(piece)
            for part in reader.take_file():
                await file.write(part)
    except FormParserError as exc:
        raise InvalidRequest("The multipart form is broken.", code="invalid_multipart") from exc
    if not reader.ended:
        message = "The multipart form stops before its closing boundary: part of the upload is missing."
        raise InvalidRequest(message, code="invalid_multipart")
    return Form(file if reader.saw_file else None, reader.fields)


def _boundary(content_type: str) -> bytes:
    media_type, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if media_type != b"multipart/form-data" or not boundary:
        message = 'Send the audio as multipart/form-data, in a part named "file".'
        raise InvalidRequest(message, code="invalid_multipart", param="file")
    return boundary


@dataclass(slots=True)
class _Part:
    name: str = ""
    filename: bool = False
    data: bytearray = field(default_factory=bytearray)


class _Reader:
    """The parser's callbacks, and what they have gathered."""

    def __init__(self, file_field: str) -> None:
        self.fields: dict[str, list[str]] = {}
        self.saw_file = False
        self.ended = False
        self._file_field = file_field
        self._in_file = False
        self._pieces: list[bytes] = []
        self._parts = 0
        self._part = _Part()
        self._header = (bytearray(), bytearray())

    def callbacks(self) -> MultipartCallbacks:
        """What the parser is to call."""
        return {
            "on_part_begin": self._part_begins,
            "on_header_begin": self._header_begins,
            "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
            "on_header_end": self._header_ends,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._part_data,
            "on_part_end": self._part_ends,
            "on_end": self._form_ends,
        }

    def take_file(self) -> list[bytes]:
        pieces, self._pieces = self._pieces, []
        return pieces

    def _part_begins(self) -> None:
        self._parts += 1
        if self._parts > _PARTS:
            raise InvalidRequest(f"A form may have at most {_PARTS} parts.", code="invalid_multipart")
        self._part = _Part()
        self._in_file = False

    def _header_begins(self) -> None:
        self._header = (bytearray(), bytearray())

    def _header_ends(self) -> None:
        name, value = self._header
        if name.lower() == b"content-disposition":
            _, options = parse_options_header(bytes(value))
            self._part.name = options.get(b"name", b"").decode("utf-8", "replace")
            self._part.filename = b"filename" in options

    def _headers_finished(self) -> None:
        # The first part of that name is the file, with or without a file name.
        self._in_file = self._part.name == self._file_field and not self.saw_file
        self.saw_file = self.saw_file or self._in_file

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self._pieces.append(data[start:end])
        elif not self._part.filename:
            self._part.data += data[start:end]
            if len(self._part.data) > _FIELD_BYTES:
                raise TooLarge(
                    f"The field {self._part.name!r} is larger than {megabytes(_FIELD_BYTES)}.",
                    param=self._part.name,
                )

    def _part_ends(self) -> None:
        if self._part.name and not self._in_file and not self._part.filename:
            value = self._part.data.decode("utf-8", "replace")
            self.fields.setdefault(self._part.name, []).append(value)

    def _form_ends(self) -> None:
        self.ended = True
