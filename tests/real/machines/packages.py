"""A package index for pip, of the packages that are installed here: what a build would fetch, without the network."""

from __future__ import annotations

import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_string
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_MADE_ANEW = ("INSTALLER", "REQUESTED", "RECORD", "direct_url.json")


def needed_by(package: str, extras: set[str]) -> set[str]:
    """The packages that pip would fetch for one that it has already."""
    found: set[str] = set()
    asked = [(package, frozenset(extras))]
    seen = set(asked)
    while asked:
        name, wanted = asked.pop()
        found.add(name)
        for line in distribution(name).requires or ():
            requirement = Requirement(line)
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": each}) for each in (wanted or {""})):
                more = (canonicalize_name(requirement.name), frozenset(requirement.extras))
                if more not in seen:
                    seen.add(more)
                    asked.append(more)
    return found - {package}


@contextmanager
def index(names: set[str], folder: Path) -> Iterator[str]:
    """One that has these, as files below `folder`; its address."""
    for name in names:
        _wheel(distribution(name), folder / name)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def _wheel(package: Distribution, folder: Path) -> None:
    """A wheel of what is installed."""
    folder.mkdir(parents=True)
    told = message_from_string(package.read_text("WHEEL") or "")
    tags = [each.split("-") for each in told.get_all("Tag", [])]
    tag = "-".join(".".join(sorted(set(part))) for part in zip(*tags, strict=True))
    files = [each for each in package.files or () if ".." not in each.parts and each.suffix != ".pyc"]
    (record,) = (each for each in files if each.name == "RECORD")
    info = record.parent
    kept = [each for each in files if each.parent != info or each.name not in _MADE_ANEW]
    stem = str(info).removesuffix(".dist-info")
    with zipfile.ZipFile(folder / f"{stem}-{tag}.whl", "w") as wheel:
        for each in kept:
            wheel.write(str(each.locate()), str(each))
        wheel.writestr(str(record), "".join(f"{each},,\n" for each in [*kept, record]))


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name there)
        pass
