"""Ten thousand damaged recordings, sent to a real gateway process whose engine answers at once."""

from __future__ import annotations

import random
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.processes import serve
from tests.sounds import CONTAINERS, recording
from tests.test_serving import settings_file

UPLOADS = 10_000
CLIENTS = 4
MIB = 1024


def damaged(good: bytes, chance: random.Random) -> bytes:
    """`good` with a few bytes changed, a stretch cut out or doubled, or its end missing."""
    data = bytearray(good)
    for _ in range(chance.choice((0, 1, 5, 50))):
        data[chance.randrange(len(data))] = chance.randrange(256)
    start, length = chance.randrange(len(data)), chance.randrange(200)
    match chance.randrange(4):
        case 0:
            del data[start : start + length]
        case 1:
            data[start:start] = data[start : start + length]
        case 2:
            del data[start:]
    return bytes(data)


def resident(pid: int) -> int:
    """KiB of memory that a process holds."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found.group(1))


@pytest.mark.timeout(400)
def test_ten_thousand_damaged_recordings_never_give_500_hang_or_grow_memory(tmp_path, upstreams, parakeet):
    good = [recording(container, 0.3, channels=1) for container in CONTAINERS]

    def send(client: httpx.Client, numbers: range) -> Counter[int]:
        statuses: Counter[int] = Counter()
        for number in numbers:
            chance = random.Random(number)
            sound = damaged(chance.choice(good), chance)
            answer = client.post("/v1/audio/transcriptions", files={"file": sound})
            statuses[answer.status_code] += 1
            assert answer.status_code in (200, 400, 413), (number, answer.text)
        return statuses

    config = settings_file(tmp_path, {"parakeet": upstreams["parakeet"]})
    with serve(tmp_path, "--config", config) as gateway, gateway.client() as client:

        def send_all(first: int, last: int) -> Counter[int]:
            with ThreadPoolExecutor(CLIENTS) as clients:
                parts = [range(first + each, last, CLIENTS) for each in range(CLIENTS)]
                return sum(clients.map(lambda part: send(client, part), parts), Counter())

        send_all(0, UPLOADS // 5)
        warm = resident(gateway.process.pid)
        statuses = send_all(UPLOADS // 5, UPLOADS)
        grown = resident(gateway.process.pid) - warm

    assert statuses[200] > 1000, "many are only a little damaged"
    assert statuses[400] > 1000, "many cannot be read any more"
    assert grown < 48 * MIB
