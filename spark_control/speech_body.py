"""What clients post to /v1/audio/speech, and what is refused of it."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, StrictStr, ValidationError
from pydantic_core import ErrorDetails

from spark_control.audio.speaking_time import speaking_time
from spark_control.errors import InvalidRequest


def _named(value: object) -> object:
    """A voice comes as a name or as `{"id": name}`."""
    return value.get("id") if isinstance(value, dict) else value


def _blank_is_absent(value: str | None) -> str | None:
    return (value or "").strip() or None


def _has_words(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty; give the text to speak")
    return text


class SpeechBody(BaseModel):
    """Unknown fields are ignored: every client has some of its own."""

    input: Annotated[StrictStr, Field(max_length=4096), AfterValidator(_has_words)]
    voice: Annotated[StrictStr | None, BeforeValidator(_named), AfterValidator(_blank_is_absent)] = None
    response_format: Annotated[StrictStr | None, AfterValidator(_blank_is_absent)] = None
    speed: Annotated[float | None, Field(ge=0.25, le=4.0)] = None

    @property
    def pace(self) -> float:
        """How fast to speak; 1.0 unless asked otherwise."""
        return self.speed or 1.0


def read_speech_body(raw: bytes) -> SpeechBody:
    """The body; an InvalidRequest that names the field at fault if it is not one."""
    try:
        body = SpeechBody.model_validate_json(raw)
    except ValidationError as exc:
        raise _explained(exc.errors()[0]) from None
    if body.response_format not in (None, "wav"):
        message = f'The format {body.response_format[:40]!r} cannot be made here; ask for "wav".'
        raise InvalidRequest(message, code="unsupported_format", param="response_format")
    return body


def refuse_too_long(body: SpeechBody, longest: float) -> None:
    """Refuse what an engine that speaks at most `longest` seconds would cut short."""
    seconds = speaking_time(body.input) / body.pace
    if seconds > longest:
        message = (
            f"This text takes about {seconds:.0f} seconds to say, and the engine speaks at most {longest:.0f} "
            "in one request; send it in shorter pieces."
        )
        raise InvalidRequest(message, code="text_too_long", param="input")


def _explained(error: ErrorDetails) -> InvalidRequest:
    field = str(error["loc"][0]) if error["loc"] else None
    match error["type"], field:
        case "json_invalid", _:
            return InvalidRequest("The body is not JSON.", code="invalid_json")
        case "missing", _:
            return InvalidRequest(f"{field} is missing.", code="missing_required_parameter", param=field)
        case "string_too_long", _:
            most = error["ctx"]["max_length"]
            message = f"{field} is longer than {most:,} characters; send it in pieces."
            return InvalidRequest(message, code="string_above_max_length", param=field)
        case _, "speed":
            return InvalidRequest("speed must be a number from 0.25 to 4.", code="invalid_value", param=field)
        case "string_type", _:
            return InvalidRequest(f"{field} must be a string.", code="invalid_type", param=field)
        case (("model_type" | "model_attributes_type"), _):
            return InvalidRequest('The body must be a JSON object with "input".', code="invalid_type")
    reason = str(error["msg"]).removeprefix("Value error, ")
    return InvalidRequest(f"{field} {reason}.", code="invalid_value", param=field)
