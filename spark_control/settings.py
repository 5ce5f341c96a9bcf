"""Every option, with its default and its reason, in one place.

Read from the environment (`SPARK_CONTROL_UPLOADS__MAX_BYTES=1000000`) over
`spark-control.toml`. `docs/settings.md` is generated from this file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, HttpUrl, SecretStr, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

ENV_PREFIX = "SPARK_CONTROL_"
ENV_DELIMITER = "__"

Kind = Literal["magpie", "parakeet", "parakeet-nim", "qwen3-tts", "openai"]
Task = Literal["speech", "transcription", "chat"]
Flavour = Literal[
    "achetronic",
    "groxaxo",
    "groxaxo-legacy",
    "icantc0de1",
    "kokoro",
    "llama.cpp",
    "localai",
    "nemo-speech-cpp",
    "ollama",
    "runparakeet",
    "speaches",
    "vllm",
    "vllm-omni",
    "xr-ai",
]

_TASKS: dict[str, Task] = {
    "magpie": "speech",
    "qwen3-tts": "speech",
    "parakeet": "transcription",
    "parakeet-nim": "transcription",
}
"""What each kind does; `openai` may do any, and says which."""

_FLAVOURS: dict[str, tuple[Flavour, ...]] = {
    "parakeet": ("achetronic", "groxaxo", "groxaxo-legacy", "nemo-speech-cpp", "runparakeet", "xr-ai"),
    "qwen3-tts": ("groxaxo", "icantc0de1", "vllm-omni"),
    "openai": ("kokoro", "llama.cpp", "localai", "nemo-speech-cpp", "ollama", "speaches", "vllm", "xr-ai"),
}

_NIMS = ("magpie", "parakeet-nim")
_NIM_GRACE = 600.0


def _is_a_service_address(url: HttpUrl) -> HttpUrl:
    if (url.path not in (None, "", "/")) or url.query or url.fragment or url.username or url.password:
        raise ValueError("give the service's address alone, such as http://spark-1:9000, without a path")
    return url


def _is_a_key(key: SecretStr) -> SecretStr:
    stripped = key.get_secret_value().strip()
    if not stripped or not stripped.isascii() or not stripped.isprintable():
        raise ValueError("a key is made of visible ASCII characters")
    return SecretStr(stripped)


def _is_a_path(path: Path) -> Path:
    if not str(path).isprintable():
        raise ValueError("a path is made of characters that can be printed")
    return path


PrintablePath = Annotated[Path, AfterValidator(_is_a_path)]
ServiceUrl = Annotated[HttpUrl, AfterValidator(_is_a_service_address)]
UpstreamName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
MachineName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


class Section(BaseModel):
    """A table of the settings file: it refuses keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class RestartSettings(Section):
    """How an engine is restarted: by exactly one of `systemd`, `docker` and `command`."""

    systemd: str | None = Field(default=None, pattern=r"^[A-Za-z0-9:_.@\\][A-Za-z0-9:_.@\\-]{0,254}$")
    """The unit: `parakeet.service`."""

    user: bool = False
    """Whether that unit belongs to the gateway's user (`systemctl --user`) rather than to the system."""

    docker: str | None = Field(default=None, pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}$")
    """The container, by name or id."""

    host: str = Field(default="unix:///var/run/docker.sock", pattern=r"^(unix:///|tcp://|http://)[!-~]+$")
    """Where Docker's API is: its socket, or a socket proxy such as `tcp://127.0.0.1:2375`."""

    command: list[Annotated[str, Field(pattern=r"^[^\x00]*$")]] | None = Field(default=None, min_length=1)
    """A program and its arguments, run without a shell. Exit status 0 means that it has restarted the engine."""

    timeout: float = Field(default=120, gt=0, le=3600)
    """Seconds that the restart itself may take, without the loading of the model that follows; Docker gets 40 at
    least, ten of which are the container's to end by itself."""

    @model_validator(mode="after")
    def _exactly_one(self) -> RestartSettings:
        if sum(way is not None for way in (self.systemd, self.docker, self.command)) != 1:
            raise ValueError(
                'name one way to restart: { systemd = "x.service" }, { docker = "x" } or { command = ["x"] }'
            )
        return self


class PatienceFor(Section):
    """How long the requests of one kind of client may be held."""

    user_agent: str = Field(min_length=1)
    """What its User-Agent contains, in any case: `HomeAssistant`."""

    seconds: float = Field(ge=0, le=86_400)


class DeepHealthSettings(Section):
    """How the engines are watched and cured. Each can also be set for one engine, in `[upstreams.NAME.deep_health]`."""

    interval: float = Field(default=300, gt=0, le=86_400)
    """Seconds between two canaries, which are real work; none is needed while live traffic proves health."""

    restart_limit: int = Field(default=3, ge=0, le=100)
    """Restarts of one engine within any `restart_window`. After them a person is called. 0 never restarts."""

    restart_window: float = Field(default=1800, gt=0, le=30 * 86_400)
    """Seconds."""

    startup_grace: float = Field(default=60, gt=0, le=7200)
    """Seconds an engine may load before that counts as a failure. A NIM (`magpie`, `parakeet-nim`) gets 600 unless
    told otherwise: it may build its engine anew."""

    patience: float = Field(default=60, ge=0, le=86_400)
    """Seconds a request may be held while its engine is being cured. 0 answers 503 at once."""

    patience_max: float = Field(default=900, ge=0, le=86_400)
    """The most that a client can ask for with the header `X-Spark-Patience`."""

    patience_for: list[PatienceFor] = [PatienceFor(user_agent="HomeAssistant", seconds=8)]
    """Shorter or longer patience for some clients; the first that fits counts."""

    alerts: list[str] = []
    """Apprise URLs that are told when the gateway gives up on an engine, and when it is back. Extra `alerts`."""


class UpstreamSettings(Section):
    """One engine behind the gateway."""

    kind: Kind
    """What the engine speaks: `magpie` (NVIDIA's TTS NIM), `parakeet` (a community server), `parakeet-nim`
    (NVIDIA's), `qwen3-tts` (any of its three servers), or `openai` (anything compatible: vLLM, Ollama, llama.cpp,
    Speaches, Kokoro, LocalAI). `spark-control discover` finds out."""

    serves: Task | None = None
    """What an engine of the kind `openai` is there for: `chat` (language models, which is the default), `speech` or
    `transcription`. One that does several stands in the file once for each. The other kinds do one thing."""

    flavour: Flavour | None = None
    """Which server of its kind it is, where there are several: `groxaxo`, `achetronic`, `vllm-omni` …
    Unless set, the gateway asks the engine and finds out."""

    url: ServiceUrl
    """Where the engine listens, without a path."""

    model: str | None = Field(default=None, pattern=r"^[!-~]{1,200}$")
    """The name under which `/v1/models` lists it; each kind has a default."""

    language: str | None = Field(default=None, min_length=2, max_length=64)
    """Sent when the client names none. `parakeet-nim` needs one (`en-US` unless set); `parakeet` may detect it."""

    api_key: Annotated[SecretStr, AfterValidator(_is_a_key)] | None = None
    """Sent to the engine as a Bearer token. Clients never see it."""

    longest: float | None = Field(default=None, gt=1, le=86_400)
    """Seconds of sound that one request to the engine may hold; longer texts and recordings are cut.
    Each kind has a default: `magpie` 20, `parakeet` 1200, `parakeet-nim` 600."""

    priority: int = Field(default=0, ge=0, le=100)
    """Engines with the lowest number that work share the requests. Those with a higher one, such as a small model on
    the CPU, get a request only when none of the lower can take it."""

    concurrency: int | None = Field(default=None, ge=1, le=1024)
    """Requests that the engine works on at once; the others wait for their turn in the gateway, which is fair to
    each client. Each kind has a default: `magpie` 8, `parakeet` 4, `parakeet-nim` 8, `qwen3-tts` 1, `openai` 4, and 64
    for `chat`."""

    pieces: int = Field(default=1, ge=1, le=64)
    """Pieces of one long text or recording that the engine may get at once."""

    accepts: list[str] = []
    """Containers, such as `["mp3", "flac"]`, that a transcribing engine gets as they came.
    Everything else is decoded for it, to 16 kHz mono WAV."""

    timeout: float = Field(default=300, gt=0, le=86_400)
    """Seconds to wait between two pieces of an answer; the first piece of a long recording takes longest."""

    restart: RestartSettings | None = None
    """How it is restarted when it has wedged: `{ systemd = "parakeet.service" }`, `{ docker = "parakeet" }` or
    `{ command = ["ssh", "spark-2", "restart-parakeet"] }`. Without one it is only watched."""

    machine: str | None = Field(default=None, min_length=1)
    """The machine it runs on, by any name. Engines of one machine are restarted one after the other, since two
    models that load at once freeze a box whose memory is one. Default: all engines are on the same."""

    probe_when: Literal["always", "after_use"] | None = None
    """`after_use` leaves an engine alone until somebody has used it since its last canary, so that one which
    unloads when idle may sleep. It is the default for `qwen3-tts`, for language models and for RunParakeet; the others
    stay loaded, and have `always`."""

    deep_health: DeepHealthSettings = DeepHealthSettings()
    """What differs for this engine from the general `[deep_health]`: any of its keys."""

    @model_validator(mode="after")
    def _does_what_its_kind_does(self) -> UpstreamSettings:
        known = _TASKS.get(self.kind)
        if known and self.serves not in (None, known):
            raise ValueError(f"an engine of the kind {self.kind} serves {known}, and nothing else")
        flavours = _FLAVOURS.get(self.kind, ())
        if self.flavour and self.flavour not in flavours:
            known_ones = ", ".join(flavours) or "none"
            raise ValueError(f"the flavours of {self.kind} are: {known_ones}")
        return self

    @property
    def task(self) -> Task:
        """What it is there for."""
        return self.serves or _TASKS.get(self.kind, "chat")


class ModelsSettings(Section):
    """What `/v1/models` lists, and which other names mean the same."""

    list_voices: bool = False
    """List every voice as a model too. Sixty voices fill a chat client's model picker, hence off."""

    strict: bool = False
    """Answer 404 to a model's name that is neither listed nor an alias. Otherwise the first engine of that task
    does it, and `X-Model` says which model that was."""

    aliases: dict[str, str] = {}
    """Names of your own for models: `"gpt-4o" = "qwen3-30b"`. OpenAI's names for speech and transcription
    (`tts-1`, `whisper-1` and their kin) work without."""


class TrafficSettings(Section):
    """What happens while an engine has more to do than it can."""

    queue: int = Field(default=256, ge=0, le=100_000)
    """Requests that may wait for one engine. Who comes after them is answered 429, with the time to come again."""

    wait: float = Field(default=60, gt=0, le=3600)
    """Seconds that a request may wait for its turn, if its client has no less patience."""


class AccessSettings(Section):
    """Who may use the gateway. `spark-control key add` makes keys; as soon as there is one, everybody needs one."""

    open: bool = False
    """Let everybody in without a key, on a public address too. Without it and without keys, the gateway listens on
    loopback addresses alone, and nobody comes in through a proxy."""

    cors_origins: list[str] = []
    """Web pages and apps in whose name a browser may ask: `["app://obsidian.md", "capacitor://localhost"]`, or
    `["*"]`."""


class LogSettings(Section):
    """What the log tells."""

    content: bool = False
    """Write the text that is spoken and the words that are heard into the log too, 1,000 characters of each. Keys and
    sound are never there."""


class SpeechCacheSettings(Section):
    """Speech that is remembered, so that the same sentence need not be spoken twice."""

    enabled: bool = True
    """Whether finished speech is kept, in the state folder."""

    max_bytes: int = Field(default=512 * 1024 * 1024, ge=0)
    """Bytes of it that are kept; what was not asked for longest goes first."""


class SpeechSettings(Section):
    """How text becomes speech."""

    default_voice: str = Field(default="alloy", min_length=1)
    """The voice of a request that names none."""

    max_characters: int = Field(default=4096, ge=1, le=100_000)
    """The longest text of one request. OpenAI takes 4,096 characters."""

    clean: bool = True
    """Leave out what nobody says of Markdown, links and emoji. Words and numbers stay."""


class UploadsSettings(Section):
    """What may be sent in."""

    max_bytes: int = Field(default=512 * 1024 * 1024, gt=0)
    """The largest upload, in bytes. A larger one is answered 413 without being read."""

    spool_bytes: int = Field(default=1024 * 1024, ge=0)
    """Bytes of one upload that are kept in memory; the rest waits in a temporary file."""

    max_seconds: float = Field(default=4 * 3600, gt=0, le=7 * 86_400)
    """The longest recording, in seconds of sound. A small file can hold days of it."""

    decode_timeout: float = Field(default=120, gt=0, le=3600)
    """Seconds that decoding one upload may take."""


class MachineSettings(Section):
    """What is watched of the machine that the gateway runs on."""

    every: float = Field(default=10, ge=1, le=3600)
    """Seconds between two looks at this machine, and at each of `machines`."""

    gpu: bool = True
    """Whether `nvidia-smi` is asked, where it is installed, and the kernel's log read for faults of the GPU."""

    disks: list[PrintablePath] = [Path("/")]
    """Folders whose disks are watched."""


class OtherMachineSettings(Section):
    """Another machine on which engines run."""

    command: list[Annotated[str, Field(pattern=r"^[^\x00]*$")]] = Field(min_length=1)
    """A program and its arguments, run without a shell, that give its input to a shell there:
    `["ssh", "spark-2", "sh", "-s"]`. One that runs `spark-machine.sh` there and takes no input does as well."""


class Settings(BaseSettings):
    """The whole configuration."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_nested_delimiter=ENV_DELIMITER,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )

    host: str = Field(default="127.0.0.1", pattern=r"^[A-Za-z0-9._:%-]+$")
    """Address to listen on. `0.0.0.0` opens the gateway to the network."""

    port: int = Field(default=8090, ge=0, le=65535)
    """Port to listen on. 0 takes any free one."""

    drain: float = Field(default=10, ge=0, le=3600)
    """Seconds that answers under way may take to finish after SIGTERM."""

    state: PrintablePath | None = None
    """Folder for what must outlive the gateway: restarts, incidents. Default: `$STATE_DIRECTORY`, which systemd
    sets, or `~/.local/state/spark-control`."""

    upstreams: dict[UpstreamName, UpstreamSettings] = {}
    """The engines, by name. With none, `serve` starts the embedded ones."""

    voices: dict[str, str] = {}
    """Names of your own (or OpenAI's) for voices: `alloy = "Magpie-Multilingual.EN-US.Mia"`."""

    models: ModelsSettings = ModelsSettings()
    speech: SpeechSettings = SpeechSettings()
    speech_cache: SpeechCacheSettings = SpeechCacheSettings()
    uploads: UploadsSettings = UploadsSettings()
    traffic: TrafficSettings = TrafficSettings()
    access: AccessSettings = AccessSettings()
    log: LogSettings = LogSettings()
    deep_health: DeepHealthSettings = DeepHealthSettings()
    machine: MachineSettings = MachineSettings()

    machines: dict[MachineName, OtherMachineSettings] = {}
    """Other machines that are watched, by the names that `upstreams.NAME.machine` has for them."""

    def care_of(self, upstream: str) -> DeepHealthSettings:
        """What holds for one engine: its own settings over the general ones."""
        settings = self.upstreams[upstream]
        own = {name: getattr(settings.deep_health, name) for name in settings.deep_health.model_fields_set}
        usual = {"startup_grace": _NIM_GRACE} if settings.kind in _NIMS else {}
        general = {name: getattr(self.deep_health, name) for name in self.deep_health.model_fields_set}
        return self.deep_health.model_copy(update={**usual, **general, **own})

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 (the signature is pydantic-settings')
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over what the file (the init arguments) says."""
        return env_settings, init_settings
