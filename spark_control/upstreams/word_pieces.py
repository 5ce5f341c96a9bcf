"""Pure: words out of the pieces in which a model hears them.

Some servers call their model's tokens words: `Wat`, `er`, `the`, `bas`, `il`.
Where one begins is told by a mark in front of the first piece (a blank, or
U+2581 as SentencePiece writes it), and servers that tidy up take that away.
The text, which always comes along, has the blanks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from spark_control.upstreams.base import Word

_MARK = "\N{LOWER ONE EIGHTH BLOCK}"


def whole_words(pieces: Sequence[Word], text: str) -> tuple[Word, ...]:
    """The words of `text` with the times of their pieces.

    Pieces that are words come back as they are, without blanks around them; so
    do those that do not fit the text, which may be another spelling of it.
    """
    heard = [piece for piece in pieces if _bare(piece.word)]
    words = text.split()
    if "".join(words).startswith("".join(_bare(piece.word) for piece in heard)):
        return tuple(_fitted(heard, words))
    return tuple(_by_marks(heard, len(words)) or [replace(each, word=_clean(each.word)) for each in heard])


def _clean(piece: str) -> str:
    return piece.replace(_MARK, " ").strip()


def _bare(piece: str) -> str:
    """Without a blank anywhere."""
    return "".join(_clean(piece).split())


def _fitted(pieces: Sequence[Word], words: Sequence[str]) -> Iterator[Word]:
    """Words, each from where its first character is heard to where its last one is, as far as there are pieces."""
    times = [piece for piece in pieces for _ in _bare(piece.word)]
    at = 0
    for word in words:
        heard = times[at : at + len(word)]
        at += len(word)
        if not heard:
            return
        yield Word(word[: len(heard)], heard[0].start, max(heard[0].start, heard[-1].end))


def _by_marks(pieces: Sequence[Word], words: int) -> list[Word]:
    """Joined where there is no mark; nothing if that does not make as many words as the text has."""
    joined: list[Word] = []
    for piece in pieces:
        part = _clean(piece.word)
        if not joined or piece.word[0].isspace() or piece.word[0] == _MARK:
            joined.append(replace(piece, word=part))
        else:
            joined[-1] = replace(
                joined[-1], word=joined[-1].word + part, end=max(joined[-1].start, piece.end)
            )
    return joined if len(joined) == words else []
