"""Pure: a long text, cut into pieces that an engine can speak.

An engine is given one piece after the other, the first a short one, so that sound starts early. Between
pieces there is a small pause, so a piece ends where a reader would breathe: at the end of a paragraph, else
of a sentence, a clause, a word; only a word too long to say is cut inside, between two grapheme clusters.
Put together again the pieces are the text, whatever its script: nothing is lost, repeated or trimmed.
"""

from __future__ import annotations

import re
import unicodedata
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from spark_control.audio.speaking_time import speaking_time

_CLUSTER, _WORD, _CLAUSE, _SENTENCE, _PARAGRAPH, _TEXT = range(6)
"""What a cut may end, the better place the higher."""

_ABOUT = 1.25
"""A sentence this many times too long for the first piece is better said whole than cut."""

_TINY = 0.25
"""A piece shorter than this share of the longest is a leftover."""


def pieces(text: str, *, longest: float, first: float) -> list[str]:
    """Pieces of at most `longest` seconds; the first of about `first`, where the text can be cut there.

    White space stays at the end of a piece, before the text in the first. The only piece longer than
    `longest` is a single character (with its accents and white space) that takes longer to say. Text
    without any words is one piece; no text is none.
    """
    if not text.strip():
        return [text] if text else []
    # Sums of the parts and of the whole differ in their last digits.
    limit = longest * (1 - 1e-9)
    head = _opening(text, first * (1 - 1e-9), limit) if first < longest else ""
    rest = text[len(head) :]
    gathered = _gather(rest, limit) if rest else []
    return [head, *gathered] if head else gathered


def _opening(text: str, first: float, limit: float) -> str:
    """Whole sentences, else clauses, else words; if even one word is longer, that word."""
    about = min(first * _ABOUT, limit)
    for rank, seconds in ((_SENTENCE, about), (_CLAUSE, about), (_WORD, first)):
        if head := _head(text, rank, seconds):
            return head
    word = text
    for rank in (_SENTENCE, _CLAUSE, _WORD):
        word = next(_cut(word, rank))
    return word if speaking_time(word) <= limit else _head(word, _CLUSTER, first)


def _head(text: str, rank: int, limit: float) -> str:
    """As many parts from the beginning of `text` as are said in `limit` seconds."""
    end, seconds = 0, 0.0
    for part in _cut(text, rank):
        seconds += speaking_time(part)
        if seconds > limit:
            break
        end += len(part)
    return text[:end]


@dataclass(frozen=True, slots=True)
class _Unit:
    """Text that is not cut. `ends` is what ends with it."""

    text: str
    seconds: float
    ends: int


@dataclass(slots=True)
class _Piece:
    """Units that are said in one breath."""

    units: deque[_Unit] = field(default_factory=deque)
    seconds: float = 0.0

    def append(self, unit: _Unit) -> None:
        self.units.append(unit)
        self.seconds += unit.seconds

    def lend(self, other: _Piece) -> None:
        """The last unit becomes the first of `other`, the next piece."""
        unit = self.units.pop()
        self.seconds -= unit.seconds
        other.units.appendleft(unit)
        other.seconds += unit.seconds


def _gather(text: str, limit: float) -> list[str]:
    gathered = [_Piece()]
    _add(_Unit(text, speaking_time(text), _TEXT), _TEXT, gathered, limit)
    for piece, following in pairwise(gathered):
        _even_out(piece, following, limit)
    return ["".join(unit.text for unit in piece.units) for piece in gathered]


def _add(unit: _Unit, rank: int, gathered: list[_Piece], limit: float) -> None:
    """Put `unit` into the last piece; or into one of its own; or cut it, if it is too long for any.

    Two neighbours together are longer than `limit`, or the first of them is longer than half of it: so
    there are never more than about twice as many pieces as there must be.
    """
    last = gathered[-1]
    if not last.units or last.seconds + unit.seconds <= limit:
        if unit.seconds <= limit or rank == _CLUSTER:
            return last.append(unit)
    elif unit.seconds <= limit or rank == _CLUSTER or last.seconds >= limit / 2:
        gathered.append(_Piece())
        return _add(unit, rank, gathered, limit)
    for part in _parts(unit, rank - 1):
        _add(part, rank - 1, gathered, limit)
    return None


def _parts(unit: _Unit, rank: int) -> Iterator[_Unit]:
    *others, last = _cut(unit.text, rank)
    for text in others:
        yield _Unit(text, speaking_time(text), rank)
    yield _Unit(last, speaking_time(last), unit.ends)


def _even_out(piece: _Piece, following: _Piece, limit: float) -> None:
    """Where a leftover follows, cut earlier, unless that is a worse place to cut."""
    tiny = limit * _TINY
    while following.seconds < tiny and len(piece.units) > 1:
        unit, before = piece.units[-1], piece.units[-2]
        too_much = following.seconds + unit.seconds > limit or piece.seconds - unit.seconds < tiny
        if too_much or before.ends < unit.ends:
            return
        piece.lend(following)


def _cut(text: str, rank: int) -> Iterator[str]:
    """`text` in parts that end where something of `rank` ends. Together they are `text`."""
    start = 0
    for end in _ENDS[rank](text):
        if start < end < len(text) and _parted(text, start, end):
            yield text[start:end]
            start = end
    yield text[start:]


def _parted(text: str, start: int, end: int) -> bool:
    if text[end].isspace() or _joined(text[end - 1], text[end]):
        return False
    return not text[start:end].isspace()


# Each pattern below begins to match only where a run of its characters begins, and gives nothing back
# (`++`, `*+`): however long a run is, it is read once.

_PARAGRAPH_END = re.compile(r"\n[^\S\n]*+\n\s*+|\u2029\s*+")


def _paragraph_ends(text: str) -> Iterator[int]:
    return (match.end() for match in _PARAGRAPH_END.finditer(text))


_ALONE = "。！？｡．।॥؟۔։።፧፨។៕။᠃᠉\u037e"
"""Marks that end a sentence whatever follows: ideographic, Devanagari, Arabic and Urdu, Armenian,
Ethiopic, Khmer, Burmese, Mongolian, Greek."""
_CLOSERS = re.escape("\"'”’“»«›)]}）］」』】》〉")  # German closes with “, Danish with «
_SPACED = "\u0e00-\u0eff\u1780-\u17ff"  # Thai, Lao and Khmer put spaces between sentences only
_SENTENCE_MARK = re.compile(
    rf"(?<![.!?…‽{_ALONE}])(?P<marks>[.!?…‽{_ALONE}]++)(?P<closers>[{_CLOSERS}]*+)(?P<gap>\s*+)"
    rf"|(?P<line>[\n\u2028]\s*+)"
    rf"|(?<=[{_SPACED}])\s++(?=[{_SPACED}])"
)


def _sentence_ends(text: str) -> Iterator[int]:
    return (match.end() for match in _SENTENCE_MARK.finditer(text) if _ends_sentence(match))


def _ends_sentence(match: re.Match[str]) -> bool:
    marks, closers, gap = match["marks"], match["closers"], match["gap"]
    after = match.string[match.end() : match.end() + 1]
    if match["line"] or (gap and "\n" in gap):
        return not after.islower()  # a line that goes on in lower case was wrapped
    if not marks or marks.strip(".!?…‽"):
        return True
    if not gap:
        return marks[-1] in "!?…" and unicodedata.east_asian_width(after or " ") == "W"
    if after.islower() and (closers or marks.strip("!?‽") not in ("", ".")):
        return False  # “Why?” she asked, and then … nothing.
    return marks != "." or not _belongs_to_its_word(match, after)


def _belongs_to_its_word(match: re.Match[str], after: str) -> bool:
    """Whether a dot is that of an initial, an abbreviation, an ordinal."""
    text, dot = match.string, match.start()
    word = _WORD_START.split(text[max(0, dot - _LONGEST_ABBREVIATION) : dot])[-1]
    if word.isdecimal():
        return _counts(text, dot - len(word), match.end())
    if len(word) == 1 or _DOTTED.fullmatch(word):
        return word.lower() != word.upper()
    return bool(_ABBREVIATION.fullmatch(word) or (after.isdecimal() and _NUMBERED.fullmatch(word)))


def _counts(text: str, start: int, end: int) -> bool:
    """Whether the number at `start` is an item's of a list, or a German ordinal: am 3. Oktober."""
    line_before = text[max(0, start - 8) : start].rpartition("\n")
    begins_line = not line_before[2].strip() and (start <= 8 or bool(line_before[1]))
    return begins_line or text[end : end + 1].islower() or _AFTER_ORDINAL.match(text, end) is not None


_LONGEST_ABBREVIATION = 15  # and longer than any
_WORD_START = re.compile(r"[\s(\[\"'“„«/-]")
_DOTTED = re.compile(r"(?:[^\W\d_]{1,2}\.)+[^\W\d_]{1,3}")  # e.g, z.B, U.S.A, Ph.D
_AFTER_ORDINAL = re.compile(
    "Januar|Februar|März|April|Mai|Juni|Juli|August|September|Oktober|November|Dezember|Jahrhundert|Jh"
)
_ABBREVIATION = re.compile(
    "dr|mr|mrs|ms|messrs|prof|st|sr|jr|rev|hon|gen|col|lt|capt|sgt|cpl|gov|sen|pres|mt|ft|"
    "vs|etc|cf|al|ibid|approx|dept|inc|ltd|corp|co|ave|blvd|rd|"
    "bzw|usw|evtl|ggf|inkl|exkl|zzgl|vgl|bspw|sog|ca|str|tel|mio|mrd|nr|hr|hrn|frl|dipl|ing|chr|jh|geb|"
    "mme|mlle|av|bd|env|éd|"
    "sra|srta|sres|sras|dra|dña|ud|uds|vd|vds|aprox|núm|pág|págs|"
    "sig|dott|avv|ecc|pag|lda|ltda|exmo|exma",
    re.IGNORECASE,
)
_NUMBERED = re.compile(
    "no|nos|num|figs?|vol|ch|chap|sec|art|pp|abs|kap|bd|cap|"
    "jan|feb|mar|apr|jun|jul|aug|sept?|oct|okt|nov|dec|dez",
    re.IGNORECASE,
)
"""Abbreviations before a number, but words elsewhere: No. 5; he said no."""

_PAUSES = re.escape(",;:!?…)]}—–،؛՝፣፤፥៖།༎")
_WIDE_PAUSES = re.escape("、，；：､）］】」』》〉…—")
_CLAUSE_MARK = re.compile(
    rf"(?<![{_PAUSES}])[{_PAUSES}]++[{_CLOSERS}]*+\s++"
    rf"|(?<![{_WIDE_PAUSES}])[{_WIDE_PAUSES}]++(?![{_WIDE_PAUSES}{_ALONE}]|[-\d])\s*+"
    r"|(?<=\s)-++\s++"
    r"|(?<=\s)(?=[(\[{])|(?=[（［【「『《])"
    r"|[\n\u2028]\s*+"
)


def _clause_ends(text: str) -> Iterator[int]:
    return (match.end() for match in _CLAUSE_MARK.finditer(text))


_GAP = re.compile(r"(?<!\s)\s++|\u200b++\s*+")  # Thai and Khmer may mark words by zero-width spaces
_NO_BREAK = "\xa0\u202f\u2007"


def _word_ends(text: str) -> Iterator[int]:
    return (match.end() for match in _GAP.finditer(text) if match[0].strip(_NO_BREAK))


def _cluster_ends(text: str) -> Iterator[int]:
    flags = 0
    for end, before in enumerate(text, start=1):
        flags = flags + 1 if _FLAG.match(before) else 0
        if not (flags % 2 and _FLAG.match(text, end)):
            yield end


_FLAG = re.compile("[\U0001f1e6-\U0001f1ff]")  # a pair of these is a flag
_EXTENDS = re.compile("[\u200c\u200d\u0e33\u0eb3\uff9e\uff9f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]")
_JOINS = re.compile(
    "\u200d.|[\ud800-\udbff][\udc00-\udfff]"
    "|[\u1100-\u115f\ua960-\ua97c][\u1100-\u115f\ua960-\ua97c\uac00-\ud7a3]|.[\u1160-\u11ff\ud7b0-\ud7fb]"
    "|[\u0600-\u0605\u06dd\u070f\u08e2].",
    re.DOTALL,
)
"""Emoji made of several; halves of a surrogate pair; Korean letters of a syllable; Arabic number signs."""


def _joined(before: str, after: str) -> bool:
    """Whether two neighbours look like one character (the grapheme clusters of Unicode's annex 29)."""
    if before.isascii() and after.isascii():
        return False
    if unicodedata.category(after)[0] == "M" or _EXTENDS.match(after):
        return True
    virama = unicodedata.combining(before) == 9
    return (virama and after.isalpha()) or _JOINS.match(before + after) is not None


_ENDS: dict[int, Callable[[str], Iterator[int]]] = {
    _PARAGRAPH: _paragraph_ends,
    _SENTENCE: _sentence_ends,
    _CLAUSE: _clause_ends,
    _WORD: _word_ends,
    _CLUSTER: _cluster_ends,
}
