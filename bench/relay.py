"""The gateway's speed beside its peers': `python -m bench.relay`, with `--quick` for a short look."""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.bodies import ANSWER_BYTES, Post, hear, speak, wav
from bench.load import Measured, load
from bench.machine import cpu_seconds
from bench.peers import GATEWAY, HTTPX, HTTPX_AIOHTTP, NO_NGINX, NO_WRK, all_of_them

SCENARIOS = {"hear": hear(wav(ANSWER_BYTES)), "speak": speak()}
CONNECTIONS = (1, 16)
GOALS = {HTTPX: 3.0, HTTPX_AIOHTTP: 1.0}
"""How many times as fast as each the gateway is to be, at 16 connections."""


@dataclass(frozen=True, slots=True)
class Round:
    """What one peer did in one round, and the processor time (in microseconds) of one of its requests."""

    load: Measured
    cpu: float


Cell = dict[str, list[Round]]


def measure(
    peers: Mapping[str, tuple[int, int]], post: Post, connections: int, *, rounds: int, seconds: int
) -> Cell:
    """Every peer in each round, so that a slow minute of the machine is slow for all."""
    cell: Cell = {name: [] for name in peers}
    for _ in range(rounds):
        for name, (port, pid) in peers.items():
            before = cpu_seconds(pid)
            measured = load(port, post, connections=connections, seconds=seconds)
            if measured.failures:
                raise SystemExit(f"{name} failed {measured.failures} of {measured.requests} requests.")
            cell[name].append(Round(measured, (cpu_seconds(pid) - before) / measured.requests * 1e6))
    return cell


def ratio(cell: Cell, peer: str) -> float:
    """How many times as fast as `peer` the gateway was: the median of the rounds' own ratios."""
    pairs = zip(cell[GATEWAY], cell[peer], strict=True)
    return statistics.median(mine.load.rate / theirs.load.rate for mine, theirs in pairs)


def show(title: str, cell: Cell) -> None:
    print(f"\n{title}")
    print(f"  {'':<24} {'requests/s':>10} {'p50 ms':>8} {'p99 ms':>8} {'CPU µs':>8}   gateway is")
    for name, rounds in cell.items():
        rate, p50, p99, cpu = (
            statistics.median(values)
            for values in zip(*((r.load.rate, r.load.p50, r.load.p99, r.cpu) for r in rounds), strict=True)
        )
        beside = "" if name == GATEWAY else f"{ratio(cell, name):5.2f} x"
        print(f"  {name:<24} {rate:>10,.0f} {p50:>8.2f} {p99:>8.2f} {cpu:>8.0f}   {beside}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2, help="of each peer in each round")
    parser.add_argument("--quick", action="store_true", help="one round of a second, without nginx")
    asked = parser.parse_args()
    rounds, seconds = (1, 1) if asked.quick else (asked.rounds, asked.seconds)
    print(f"{os.cpu_count()} processors; {rounds} rounds of {seconds} s; 100 KB each way; medians.")
    if not shutil.which("wrk"):
        print(NO_WRK)
    if not asked.quick and not shutil.which("nginx"):
        print(NO_NGINX)
    verdicts = []
    with tempfile.TemporaryDirectory() as folder, all_of_them(Path(folder), nginx=not asked.quick) as peers:
        for scenario, post in SCENARIOS.items():
            for connections in CONNECTIONS:
                cell = measure(peers, post, connections, rounds=rounds, seconds=seconds)
                show(f"{scenario}, {connections} connection{'s' * (connections > 1)}", cell)
                if connections == max(CONNECTIONS):
                    verdicts += [(scenario, peer, ratio(cell, peer), goal) for peer, goal in GOALS.items()]
    print(f"\nAt {max(CONNECTIONS)} connections:")
    for scenario, peer, reached, goal in verdicts:
        word = "reached" if reached >= goal else "MISSED"
        print(f"  {scenario:<6} {reached:.2f} x {peer} (goal {goal:g} x: {word})")


if __name__ == "__main__":
    main()
