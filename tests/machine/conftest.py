from __future__ import annotations

import pytest

from tests.machine.gpus import NvidiaSmi, first_on_path, make_proc


@pytest.fixture
def nvidia_smi(tmp_path, monkeypatch):
    folder = tmp_path / "bin"
    folder.mkdir()
    first_on_path(folder, monkeypatch)
    program = NvidiaSmi(folder)
    program.says()
    return program


@pytest.fixture
def proc(tmp_path):
    return make_proc(tmp_path)
