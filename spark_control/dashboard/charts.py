"""Series of numbers as SVG paths. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

Series = Sequence[float | None]


def path(values: Series, width: float, height: float, top: float | None = None) -> str:
    """The `d` of a line from left to right, broken where a value is missing; a lone value becomes a dot."""
    return " ".join(
        "M" + " L".join(f"{x:g} {y:g}" for x, y in run) + (" h0" if len(run) == 1 else "")
        for run in _runs(values, width, height, top)
    )


def area(values: Series, width: float, height: float, top: float | None = None) -> str:
    """The `d` of what lies under that line."""
    return " ".join(
        f"M{run[0][0]:g} {height:g} L"
        + " L".join(f"{x:g} {y:g}" for x, y in run)
        + f" L{run[-1][0]:g} {height:g} Z"
        for run in _runs(values, width, height, top)
        if len(run) > 1
    )


def bars(values: Series, width: float, height: float, top: float | None = None, least: float = 2.0) -> str:
    """The `d` of a bar for each value that there is, at least `least` high."""
    high, step = _top(values, top), width / max(1, len(values))
    return "".join(
        f"M{(index + 0.5) * step:.5g} {height:g}v-{max(least, min(1.0, value / high) * height):.4g}"
        for index, value in enumerate(values)
        if value is not None
    )


def _runs(
    values: Series, width: float, height: float, top: float | None
) -> Iterator[list[tuple[float, float]]]:
    """The points of each stretch without a gap."""
    high, step = _top(values, top), width / max(1, len(values) - 1)
    run: list[tuple[float, float]] = []
    for index, value in enumerate([*values, None]):
        if value is not None:
            inside = min(1.0, max(0.0, value / high))
            run.append((round(index * step, 1), round(height * (1 - inside), 1)))
        elif run:
            yield run
            run = []


def _top(values: Series, top: float | None) -> float:
    return top or max((value for value in values if value is not None), default=0.0) or 1.0
