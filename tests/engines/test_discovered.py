"""The embedded engines are taken for what they stand in for."""

from __future__ import annotations

import asyncio

from spark_control.discover import Host, survey


def test_the_embedded_engines_are_discovered_as_magpie_and_parakeet(magpie, parakeet):
    ports = [client.base_url.port for client in (magpie, parakeet)]
    found = asyncio.run(survey([Host("127.0.0.1", port) for port in ports]))

    assert [(each.port, [(it.kind, it.flavour) for it in each.identities]) for each in found.engines] == [
        (ports[0], [("magpie", None)]),
        (ports[1], [("parakeet", "groxaxo")]),
    ]
