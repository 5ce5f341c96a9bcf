"""FFmpeg's filters, as a function from frames to frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import av
import av.filter


class Filters:
    """A chain that takes frames of one kind (rate in Hz, sample format, channel layout) and gives s16 mono.

    `av.AudioResampler` would do for a change of rate, but takes no other filters
    and keeps a pool of idle threads, as many as the machine has cores.
    """

    def __init__(
        self, rate: int, sample_format: str, layout: str, chain: Sequence[tuple[str, str]], *, rate_out: int
    ) -> None:
        """`chain` holds filters and their arguments. Raises av.FFmpegError where FFmpeg refuses them."""
        graph = self._graph = av.filter.Graph()
        graph.threads = 1
        source = f"sample_rate={rate}:sample_fmt={sample_format}:channel_layout={layout}:time_base=1/{rate}"
        target = f"sample_rates={rate_out}:sample_fmts=s16:channel_layouts=mono"
        steps = [("abuffer", source), *chain, ("aformat", target), ("abuffersink", "")]
        graph.link_nodes(*(graph.add(name, arguments) for name, arguments in steps)).configure()

    def push(self, frame: av.AudioFrame | None) -> Iterator[av.AudioFrame]:
        """What comes out when `frame` goes in; None ends the sound and brings out its tail."""
        self._graph.push(frame)
        while True:
            try:
                yield cast(av.AudioFrame, self._graph.pull())
            except (av.error.BlockingIOError, av.error.EOFError):
                return


def samples(frame: av.AudioFrame) -> bytes:
    """The s16le samples of a mono frame; FFmpeg pads the buffer they lie in."""
    return bytes(frame.planes[0])[: 2 * frame.samples]
