"""Pure: why this must not be released yet."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

_VERSION = re.compile(r"\d+\.\d+\.\d+((a|b|rc)\d+)?")


def refusals(version: str, changelog: str, changed: Collection[str], tags: Collection[str]) -> Iterator[str]:
    """A sentence for each reason, with what to do.

    `changed` are the files that differ from the last commit, or are not in it.
    """
    if not _VERSION.fullmatch(version):
        yield f"{version!r} is no version such as 0.2.0 or 0.2.0rc1. It stands in spark_control/__init__.py."
    if f"v{version}" in tags:
        yield f"{version} is out already: v{version} is a tag. Raise __version__ in spark_control/__init__.py."
    newest = re.search(r"(?m)^## (\S+)(.*)$", changelog)
    if not newest or newest[1] != version:
        told = newest[1] if newest else "nothing"
        yield f"CHANGELOG.md begins with {told}. Say there what is new in {version}."
    elif not re.search(r"\d{4}-\d{2}-\d{2}$", newest[2]):
        yield f"CHANGELOG.md has no date for {version}. Write the day: ## {version} — 2026-01-31"
    if changed:
        first, more = sorted(changed)[:5], len(changed) - 5
        others = f" and {more} more" if more > 0 else ""
        yield f"Not as they were committed: {', '.join(first)}{others}. Commit them, or put them away."
