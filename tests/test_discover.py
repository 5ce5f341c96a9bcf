"""What `spark-control discover` finds, on real sockets."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import tomllib
from contextlib import ExitStack

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from spark_control import discover as discovering
from spark_control.discover import Found, Host, NotAHost, Survey, parse_host, survey
from spark_control.entries import lines, name_entries
from spark_control.finding import discover, toml_of
from spark_control.settings import Settings
from spark_control.settings_file import load_settings
from spark_control.upstreams.fingerprints import Identity, identify
from tests.live import serving, unused_port
from tests.processes import spark_control
from tests.strangers import BAD, OK, answering, said
from tests.upstreams.known_answers import KNOWN, Said, replies


@pytest.fixture
def look():
    """Runs the command: exit status, stdout, stderr."""

    def run(*arguments):
        ended = CliRunner().invoke(discover, [str(each) for each in arguments], catch_exceptions=False)
        return ended.exit_code, ended.stdout, ended.stderr

    return run


@pytest.fixture
def served():
    """Makes servers that answer the questions as told, and gives their ports."""
    with ExitStack() as stack:

        def build(*what: Said) -> list[int]:
            return [port_of(stack.enter_context(serving(answering_as(each)))) for each in what]

        yield build


def answering_as(what: Said):
    answers = replies(what)

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            return
        answer = answers[scope["path"]]
        headers = [(b"content-type", answer.content_type.encode())]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    return app


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


def settings_of(toml: str, tmp_path) -> Settings:
    file = tmp_path / "printed.toml"
    file.write_text(toml, encoding="utf-8")
    return load_settings(file, {})


def test_what_runs_on_this_machine_is_found_at_its_usual_ports(look, upstreams, monkeypatch, tmp_path):
    ports = [port_of(upstreams[name]["url"]) for name in ("magpie", "parakeet")]
    monkeypatch.setattr(discovering, "USUAL_PORTS", (*ports, unused_port()))
    status, toml, told = look()

    assert status == 0
    assert sorted(line.split("  ")[1] for line in told.splitlines() if line) == [
        "Magpie (NVIDIA's NIM), text to speech",
        "Parakeet (groxaxo), speech to text",
    ]
    found = settings_of(toml, tmp_path).upstreams
    assert {name: (each.kind, str(each.url)) for name, each in found.items()} == {
        name: (upstreams[name]["kind"], f"{upstreams[name]['url']}/") for name in ("magpie", "parakeet")
    }
    assert found["parakeet"].flavour == "groxaxo"
    assert found["parakeet"].restart is None


@pytest.mark.parametrize("name", KNOWN)
def test_the_settings_of_every_known_server_can_be_loaded(name, tmp_path):
    what, expected = KNOWN[name]
    toml = toml_of(name_entries([Found(Host("spark-1"), 8000, identify(replies(what)))]))

    loaded = settings_of(toml, tmp_path).upstreams.values()
    assert [((each.kind, each.task), each.flavour) for each in loaded] == [each[:2] for each in expected]


def test_a_server_of_several_things_is_several_upstreams(served, look, tmp_path):
    [port] = served(KNOWN["speaches"][0])
    _, toml, told = look(f"127.0.0.1:{port}")

    assert told.splitlines()[:2] == [
        f"127.0.0.1:{port}  Speaches with Systran/faster-whisper-small, speech to text",
        f"127.0.0.1:{port}  Speaches with speaches-ai/Kokoro-82M-v1.0-ONNX, text to speech",
    ]
    loaded = settings_of(toml, tmp_path).upstreams
    assert {name: (each.task, each.model) for name, each in loaded.items()} == {
        "speaches-transcription": ("transcription", "Systran/faster-whisper-small"),
        "speaches-speech": ("speech", "speaches-ai/Kokoro-82M-v1.0-ONNX"),
    }


def test_a_gateway_is_named_and_left_out(look, gateway):
    status, toml, told = look(str(gateway.base_url))

    assert (status, toml) == (1, "")
    assert "Spark Control, a gateway such as this one" in told
    assert "no engine was found. Name the host where yours run" in told


def test_a_server_that_wants_a_key_gets_a_place_for_it(served, look, tmp_path):
    [port] = served(KNOWN["vllm with a key"][0])
    _, toml, _ = look(f"127.0.0.1:{port}")

    assert '# api_key = "..."' in toml
    assert settings_of(toml, tmp_path).upstreams["vllm"].api_key is None


def test_one_server_under_two_names_is_found_once(served, look):
    [port] = served(KNOWN["ollama"][0])
    _, toml, _ = look(f"localhost:{port}", f"127.0.0.1:{port}", f"http://127.0.0.1:{port}/v1")

    assert list(tomllib.loads(toml)["upstreams"]) == ["ollama"]
    assert f'url = "http://localhost:{port}"' in toml


def test_programs_get_json(served, look):
    ports = served(KNOWN["vllm"][0], {})
    gone = unused_port()
    status, told, nothing = look("127.0.0.1", *(f"--port={port}" for port in (*ports, gone)), "--json")
    told = json.loads(told)

    assert (status, nothing) == (0, "")
    [engine] = [each for each in told["engines"] if each["port"] == ports[0]]
    assert (engine["name"], engine["kind"], engine["serves"], engine["model"]) == (
        "vllm",
        "openai",
        "chat",
        "qwen3-30b",
    )
    what = "something that answers HTTP but is not known: 404 on everything"
    assert {"host": "127.0.0.1", "port": ports[1], "what": what} in told["others"]
    assert told["missing"] == [f"127.0.0.1:{gone}: nothing listens there"]
    assert tomllib.loads(told["toml"])["upstreams"]


def test_strangers_waste_nobody_s_time(look):
    with ExitStack() as stack:
        ports = {name: stack.enter_context(answering(answer))[0] for name, answer in BAD.items()}
        found = asyncio.run(survey([Host("127.0.0.1", port) for port in ports.values()]))

    assert {each.port: each.identities for each in found.found} == {port: [] for port in ports.values()}
    assert all(each.remark.startswith("something ") for each in found.found)


def test_strangers_get_small_questions_and_nothing_else():
    with answering(said(b"HTTP/1.1 200 OK\r\n\r\n")) as (elsewhere, asked_there):
        head = f"HTTP/1.1 307 Go\r\nLocation: http://127.0.0.1:{elsewhere}/\r\nSet-Cookie: a=b\r\n\r\n"
        with answering(said(head.encode())) as (port, asked):
            found = asyncio.run(survey([Host("localhost", port)]))

    assert [each.remark for each in found.found] == [
        "something that answers HTTP but is not known: 307 on everything"
    ]
    assert not asked_there
    for request in asked:
        line, *headers, empty, body = request.decode().split("\r\n")
        assert line.startswith("GET /")
        assert {header.split(":")[0].lower() for header in headers} == {
            "host", "accept-encoding", "user-agent", "connection",
        }  # fmt: skip
        assert f"Host: localhost:{port}" in headers
        assert (empty, body) == ("", "")


def test_a_long_answer_is_read_to_a_limit():
    models = b'{"data": [' + b'{"id": "qwen3", "owned_by": "vllm"},' * 20_000
    with answering(said(OK + b"\r\n" + models)) as (port, _):
        found = asyncio.run(survey([Host("127.0.0.1", port)]))

    assert [each.identities for each in found.found] == [[]]


def test_a_host_that_drops_every_packet_is_told_apart_from_an_empty_one(monkeypatch):
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listening, ExitStack() as stack:
        for _ in range(4):  # its backlog is full now, and the kernel answers no further call
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        full = listening.getsockname()[1]
        monkeypatch.setattr(discovering, "USUAL_PORTS", (full,))
        dropped = asyncio.run(survey([Host("127.0.0.1")]))
        monkeypatch.setattr(discovering, "USUAL_PORTS", (full, unused_port()))
        empty = asyncio.run(survey([Host("127.0.0.1")]))

    assert dropped.missing == [
        "127.0.0.1 does not answer: is it switched on, and does its firewall let this machine in?"
    ]
    assert empty.missing == ["127.0.0.1: nothing listens at any of the 2 ports"]


def test_a_name_that_nobody_knows_is_told(look, monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    status, _, told = look("spark-9")

    assert status == 1
    assert told.splitlines()[0] == "spark-9: no host of that name is known"


def test_a_silent_name_server_does_not_hold_up_the_end(monkeypatch):
    asked = threading.Event()
    over = threading.Event()

    def silent(*_, **__):
        asked.set()
        over.wait()
        return []

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    monkeypatch.setattr(discovering, "_LOOK_UP_SECONDS", 0.05)
    found = asyncio.run(survey([Host("spark-9")]))
    over.set()

    assert asked.is_set()
    assert found.missing == ["spark-9: no host of that name is known"]


def test_the_second_address_of_a_host_is_tried_too(served, monkeypatch):
    [port] = served(KNOWN["ollama"][0])
    addresses = [(socket.AF_INET, 0, 0, "", (address, 0)) for address in ("127.0.0.9", "127.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)
    found = asyncio.run(survey([Host("spark-1", port)]))

    assert [each.place for each in found.engines] == [f"spark-1:{port}"]
    assert found.missing == []


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("spark-1", Host("spark-1")),
        (" spark-1 ", Host("spark-1")),
        ("Spark-1.local.", Host("spark-1.local.")),
        ("127.1:80", Host("127.0.0.1", 80)),
        ("spark_1:5092", Host("spark_1", 5092)),
        ("192.168.1.20:8000", Host("192.168.1.20", 8000)),
        ("::1", Host("[::1]")),
        ("[2001:db8::2]:9000", Host("[2001:db8::2]", 9000)),
        ("http://spark-1:9000/v1", Host("spark-1", 9000)),
        ("HTTP://spark-1/", Host("spark-1")),
        ("0.0.0.0:8000", Host("127.0.0.1", 8000)),
        ("[::]:8000", Host("[::1]", 8000)),
        ("bücher.example", Host("xn--bcher-kva.example")),
    ],
)
def test_hosts_are_understood_as_people_paste_them(text, host):
    assert parse_host(text) == host


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "a b", ":8000", "spark-1:0", "spark-1:65536", "spark-1:-1", "spark-1:http",
        "https://spark-1:443", "file:///etc/passwd", "http://", "http://me:secret@spark-1", "me@spark-1",
        "192.168.1.0/24", "spark-1/v1", "fe80::1%eth0", "[::1", "::1]:9", "1:2:3", "-spark", "spark-",
        "spark\x1b[2J", "spark;1", "x" * 300, "[v1.x]:80", "spark.1", "spark-1?x",
    ],
)  # fmt: skip
def test_what_is_no_host_is_refused_in_a_sentence(text, look):
    with pytest.raises(NotAHost):
        parse_host(text)
    status, toml, told = look("--", text)

    assert (status, toml) == (1, "")
    assert told.startswith("spark-control: ")
    assert told.count("\n") == 1
    assert told.strip().isprintable()


def test_too_many_hosts_at_once_are_refused(look):
    status, _, told = look(*(f"10.0.0.{number}" for number in range(65)))

    assert (status, told) == (1, "spark-control: 65 hosts are too many at once; 64 are the most\n")


def test_engines_that_are_alike_get_names_of_their_own_and_a_word_on_pools(tmp_path):
    parakeet = Identity("parakeet", "transcription", "groxaxo", None, "Parakeet (groxaxo)")
    places = [("spark-1", 5092), ("spark-2", 5092), ("spark-2", 8000), ("[::1]", 5092), ("spark_1", 5092)]
    entries = name_entries([Found(Host(name), port, [parakeet]) for name, port in places])
    toml = toml_of(entries)
    loaded = settings_of(toml, tmp_path).upstreams

    assert list(loaded) == [
        "parakeet-spark-1",
        "parakeet-spark-2",
        "parakeet-spark-2-2",
        "parakeet-1",
        "parakeet-spark-1-2",
    ]
    assert [each.machine for each in loaded.values()] == ["spark-1", "spark-2", "spark-2", "::1", "spark_1"]
    assert "they share the requests" in toml


def test_a_single_engine_needs_no_word_on_pools_and_machines():
    parakeet = Identity("parakeet", "transcription", None, None, "Parakeet")
    toml = toml_of(name_entries([Found(Host("spark-1"), 5092, [parakeet])]))

    assert "share" not in toml
    assert "machine" not in toml


VISIBLE = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=200)


@given(st.lists(VISIBLE, min_size=1, max_size=4))
def test_no_model_s_name_breaks_out_of_the_toml(names):
    identities = [
        Identity("openai", "speech", "kokoro", name, f"Kokoro with {name}", wants_key=True) for name in names
    ]
    found = [Found(Host("spark-1"), 8880, identities)]
    entries = name_entries(found)
    loaded = tomllib.loads(toml_of(entries))

    assert set(loaded) == {"upstreams"}
    assert [each["model"] for each in loaded["upstreams"].values()] == names
    assert [Settings(**loaded).upstreams[entry.name].model for entry in entries] == names
    assert all(line.isprintable() for line in lines(Survey(found), entries))


def test_the_command_s_output_is_a_settings_file(tmp_path, upstreams):
    port = port_of(upstreams["magpie"]["url"])
    ended = spark_control("discover", f"127.0.0.1:{port}", folder=tmp_path)
    (tmp_path / "spark-control.toml").write_text(ended.stdout)

    assert f"127.0.0.1:{port}  Magpie (NVIDIA's NIM), text to speech\n" in ended.stderr
    elsewhere = {"SPARK_CONTROL_PORT": "0", "SPARK_CONTROL_STATE": str(tmp_path / "state")}
    assert spark_control("check", folder=tmp_path, **elsewhere).returncode == 0
