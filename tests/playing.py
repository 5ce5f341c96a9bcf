"""Players that play nothing: scripts on the PATH that keep what they are given."""

from __future__ import annotations

from pathlib import Path

import pytest

_USUAL = "/usr/bin:/bin"


def no_players(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have none on the PATH but those that `player` puts there."""
    tools = folder / "tools"
    tools.mkdir()
    for name in ("cat", "cp", "sh", "sleep"):
        (tools / name).symlink_to(next(path for path in map(Path, _paths(name)) if path.exists()))
    (folder / "players").mkdir()
    monkeypatch.setenv("PATH", f"{folder / 'players'}:{tools}")


def player(folder: Path, name: str, script: str = "") -> Path:
    """Install one; what it is given on its stdin is at the path that this returns, once it has ended."""
    heard = folder / f"{name}.heard"
    program = folder / "players" / name
    program.write_text(f"#!/bin/sh\n{script or f'cat > {heard}'}\n")
    program.chmod(0o755)
    return heard


def _paths(name: str) -> list[str]:
    return [f"{folder}/{name}" for folder in _USUAL.split(":")]
