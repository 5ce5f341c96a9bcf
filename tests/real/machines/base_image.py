"""What stands in for the official image of Python: this machine's, with the least that it needs, where it is here."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterable, Iterator
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from tests.conftest import need

_PROGRAMS = ("sh", "install")
_LEFT_OUT = ("site-packages", "dist-packages", "test", "idlelib", "lib2to3", "ensurepip", "turtledemo")
_LINKS = (Path("/bin"), Path("/sbin"), Path("/lib"), Path("/lib64"))
_ETC = {"/etc/passwd": "root:x:0:0:root:/root:/bin/sh\n", "/etc/group": "root:x:0:\n"}


def written(where: Path, extensions: Iterable[Path]) -> Path:
    """An archive of Python, pip and a shell, and of the libraries that these and the extension modules need."""
    python = Path(
        sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}"
    ).resolve()
    stdlib = Path(sysconfig.get_path("stdlib"))
    programs = [python, *(Path(need(each, "coreutils")) for each in _PROGRAMS)]
    libraries = _linked([*programs, *stdlib.glob("lib-dynload/*.so"), *extensions])
    files = {each: each for each in [*programs, *libraries, *_kept(stdlib)]}
    files[stdlib / "pip"] = Path(str(distribution("pip").locate_file("pip")))
    with tarfile.open(where, "w", dereference=True) as archive:
        for link in _LINKS:
            if link.is_symlink():
                _add(archive, str(link), type=tarfile.SYMTYPE, linkname=str(link.readlink()))
        _add(archive, "/usr/local/bin/python3", type=tarfile.SYMTYPE, linkname=str(python))
        _add(archive, "/tmp", type=tarfile.DIRTYPE, mode=0o1777)  # noqa: S108 (the image's own)
        for name, line in _ETC.items():
            _add(archive, name, content=line.encode())
        for parent in sorted({parent for each in files for parent in _real(each).parents}):
            _add(archive, str(parent), type=tarfile.DIRTYPE, mode=0o755)
        for file, source in files.items():
            archive.add(source, str(_real(file)))
    return where


def _kept(stdlib: Path) -> Iterator[Path]:
    for each in stdlib.iterdir():
        if each.name not in _LEFT_OUT and not each.name.startswith("config-"):
            yield each


def _real(path: Path) -> Path:
    """Where it is, however /lib is reached; its own name may be a link's."""
    return path.parent.resolve() / path.name


def _linked(files: Iterable[Path]) -> set[Path]:
    """The libraries of the system that these are linked with."""
    told = subprocess.run(["ldd", *files], capture_output=True, text=True, check=False).stdout
    found = {Path(each) for each in re.findall(r"(?:=> |^\t)(/\S+) \(0x", told, re.MULTILINE)}
    return {each for each in found if not each.resolve().is_relative_to(sys.prefix)}


def _add(archive: tarfile.TarFile, name: str, *, content: bytes = b"", **details: Any) -> None:
    entry = tarfile.TarInfo(name.removeprefix("/"))
    entry.size, entry.mode = len(content), 0o644
    for detail, value in details.items():
        setattr(entry, detail, value)
    archive.addfile(entry, io.BytesIO(content))
