"""What clients post to /v1/audio/speech, and what is refused of it."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, StrictStr, ValidationError
from pydantic_core import ErrorDetails

from spark_control.audio.formats import MP3, SPOKEN
from spark_control.errors import InvalidRequest


def _named(value: object) -> object:
    """A voice comes as a name or as `{"id": name}`."""
    return value.get("id") if isinstance(value, dict) else value


def _if_text(value: object) -> object:
    """A model is forgiven whatever it is."""
    return value if isinstance(value, str) else None


def _blank_is_absent(value: str | None) -> str | None:
    return (value or "").strip() or None


def _none_is_absent(value: str | None) -> str | None:
    """Home Assistant sends the word "None" for no instructions."""
    return None if value is None or value.strip() in ("", "None") else value


def _has_words(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty; give the text to speak")
    return text


def _can_be_made(name: str | None) -> str | None:
    if name is not None and name.lower() not in SPOKEN:
        raise ValueError(f"{name[:40]!r} cannot be made; ask for {', '.join(SPOKEN)}")
    return name


def _can_be_streamed(name: str | None) -> str | None:
    if name not in (None, "audio", "sse"):
        raise ValueError('must be "audio" or "sse"')
    return name


Text = Annotated[StrictStr | None, AfterValidator(_blank_is_absent)]


class SpeechBody(BaseModel):
    """Unknown fields are ignored: every client has some of its own."""

    input: Annotated[StrictStr, AfterValidator(_has_words)]
    model: Annotated[Text, BeforeValidator(_if_text)] = None
    voice: Annotated[Text, BeforeValidator(_named)] = None
    response_format: Annotated[Text, AfterValidator(_can_be_made)] = None
    speed: Annotated[float | None, Field(ge=0.25, le=4.0)] = None
    stream_format: Annotated[Text, AfterValidator(_can_be_streamed)] = None
    instructions: Annotated[StrictStr | None, AfterValidator(_none_is_absent)] = None

    @property
    def pace(self) -> float:
        """How fast to speak; 1.0 unless asked otherwise."""
        return self.speed or 1.0

    @property
    def format(self) -> str:
        """A key of `SPOKEN`; mp3 unless asked otherwise, since many clients take it for granted."""
        return (self.response_format or MP3.name).lower()

    def refuse_longer_than(self, characters: int) -> None:
        """Raise InvalidRequest for a text over the limit."""
        if len(self.input) > characters:
            message = f"input is longer than {characters:,} characters; send it in parts."
            raise InvalidRequest(message, code="string_above_max_length", param="input")


class Batch(BaseModel):
    """What is posted to /v1/audio/speech/batch: several texts, and what holds for each unless it says otherwise."""

    inputs: Annotated[list[object], Field(min_length=1, max_length=100)]
    model: object = None
    voice: object = None
    response_format: object = None
    speed: object = None
    instructions: object = None

    def items(self) -> list[dict[str, object]]:
        """Each as a body of its own, not yet looked at."""
        common = self.model_dump(exclude={"inputs"}, exclude_none=True)
        return [{**common, **(item if isinstance(item, dict) else {"input": item})} for item in self.inputs]


def read_speech_body(raw: bytes) -> SpeechBody:
    """The body; an InvalidRequest that names the field at fault if it is not one."""
    try:
        return SpeechBody.model_validate_json(raw)
    except ValidationError as exc:
        raise _explained(exc.errors()[0]) from None


def read_batch(raw: bytes) -> Batch:
    try:
        return Batch.model_validate_json(raw)
    except ValidationError as exc:
        raise _explained(exc.errors()[0]) from None


def read_fields(fields: dict[str, object]) -> SpeechBody:
    """The same as `read_speech_body`, of what is no JSON any more or never was."""
    try:
        return SpeechBody.model_validate(fields)
    except ValidationError as exc:
        raise _explained(exc.errors()[0]) from None


def _explained(error: ErrorDetails) -> InvalidRequest:
    field = str(error["loc"][0]) if error["loc"] else None
    match error["type"], field:
        case "json_invalid", _:
            return InvalidRequest("The body is not JSON.", code="invalid_json")
        case "missing", _:
            return InvalidRequest(f"{field} is missing.", code="missing_required_parameter", param=field)
        case "value_error", "response_format":
            message = f"The format {_reason(error)}."
            return InvalidRequest(message, code="unsupported_format", param=field)
        case _, "speed":
            return InvalidRequest("speed must be a number from 0.25 to 4.", code="invalid_value", param=field)
        case _, "inputs":
            message = "inputs must be a list of 1 to 100 texts or bodies."
            return InvalidRequest(message, code="invalid_value", param=field)
        case "string_type", _:
            return InvalidRequest(f"{field} must be a string.", code="invalid_type", param=field)
        case (("model_type" | "model_attributes_type"), _):
            return InvalidRequest('The body must be a JSON object with "input".', code="invalid_type")
    return InvalidRequest(f"{field} {_reason(error)}.", code="invalid_value", param=field)


def _reason(error: ErrorDetails) -> str:
    return str(error["msg"]).removeprefix("Value error, ")
