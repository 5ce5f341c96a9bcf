"""Pure: what to say of a text that was written to be looked at, in Markdown as chat models write it.

Marks go; every word and number stays, but for the path of an address, the name of a tag and the language
of a code fence. What looks like a mark but may be meant (2 * 3, snake_case, $5, a < b) stays as it is.

The text is read a few times over, each time for one kind of mark. Meanwhile control characters, which no
text needs, hold places: `_GONE` stands where something was removed, so that only white space beside it is
tidied; the others stand for characters that were written as themselves, in code or after a backslash.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from html.entities import html5

_GONE = "\x00"
_MARKS = "*_~[]<&$`\\"
_LITERALLY = {ord(mark): chr(0x0E + n) for n, mark in enumerate(_MARKS)}
_AS_WRITTEN = {ord(held): chr(mark) for mark, held in _LITERALLY.items()}

_CONTROL = re.compile(r"\r\n|[\x00-\x08\x0b-\x1f\x7f]")
_SOUND = re.compile(r"[^\W_]|[%&@§$+<=>€£¥°©®™]")


def speakable(text: str) -> str:
    """The words of `text`, without its marks and pictures; "" if there are none. Plain prose stays as it is."""
    clean = _CONTROL.sub(lambda match: "\n" if "\n" in match[0] else " ", text)
    said = _code_spans("\n".join(_lines(clean)))
    for read in (_characters, _links, _tokens, _emphasis, _pictures, _tidy):
        said = read(said)
    said = said.translate(_AS_WRITTEN)
    if said != clean:
        said = _BLANK_LINES.sub("\n\n", said).strip()
    return said if _SOUND.search(said) else ""


_SSML = re.compile(r"(?:<\?xml[^>]*\?>\s*)?<speak(?:\s[^<>]*)?(?<!/)>(.*)</speak\s*>", re.DOTALL)


def is_ssml(text: str) -> bool:
    """Whether `text` is one `<speak>` document, and so for an engine to read, not to be cleaned."""
    document = _SSML.fullmatch(text.strip().removeprefix("\ufeff"))
    return document is not None and not re.search(r"</?speak[\s/>]", document[1])


# -- Marks that begin or fill a line --

_FENCE = re.compile(r"[ \t>]*(?P<mark>`{3,}|~{3,})[ \t]*(?P<language>[^\s`~]*)(?P<words>[^`~]*)$")
_RULE = re.compile(r"[ \t]*([-*_=])(?:[ \t]*\1){2,}[ \t]*$")
_MARKER = re.compile(
    r"[ \t]*+(?:(?:>|\#{1,6}(?=[ \t]|$)|[-*+](?=[ \t]|$))[ \t]*+)*+"  # quotes, headings, bullets
    r"(?P<number>\d+[.)][ \t]++)?+(?:\[[ xX]\](?:[ \t]++|$))?+"  # a task's box
)
_CLOSING_HASHES = re.compile(r"(?<![\s#])\s++#++\s*$")
_PIPE = re.compile(r"(?<!\\)\|")


def _lines(text: str) -> Iterator[str]:
    """The lines of `text` without what makes them headings, items, rows, code."""
    fence, table = "", False
    lines = text.split("\n")
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        mark = _FENCE.match(line)
        if fence:
            ended = mark and mark["mark"].startswith(fence) and not (mark["language"] or mark["words"])
            fence = "" if ended else fence
            yield _GONE if ended else line.translate(_LITERALLY)
        elif mark:
            fence = mark["mark"]
            yield _GONE + mark["words"]
        else:
            table = "|" in line and (table or _is_ruling(line) or _is_ruling(following))
            yield _row(line) if table or _is_row(line) else _unmarked(line)


def _is_ruling(line: str) -> bool:
    """Whether this is the |---| below a table's head."""
    return "|" in line and "-" in line and not line.strip("|:- \t")


def _is_row(line: str) -> bool:
    line = line.strip()
    return len(line) > 1 and line[0] == line[-1] == "|"


def _row(line: str) -> str:
    cells = [cell.strip() for cell in _PIPE.split(line)]
    return _GONE if _is_ruling(line) else _GONE + ", ".join(cell for cell in cells if cell)


def _unmarked(line: str) -> str:
    if _RULE.match(line):
        return _GONE
    marker = _MARKER.match(line)
    if marker is None or not marker[0].strip() or marker[0].strip() == (marker["number"] or "").strip():
        return line
    rest = line[marker.end() :]
    if "#" in marker[0]:
        rest = _CLOSING_HASHES.sub("", rest)
    return _GONE + (marker["number"] or "") + rest


# -- Marks within a line --

_TICKS = re.compile(r"(?<![`\\])`++")


def _code_spans(text: str) -> str:
    """`code`, which ends at as many backticks as it begins with, in the same paragraph."""
    ticks = list(_TICKS.finditer(text))
    closing: dict[int, int] = {}
    partner = [0] * len(ticks)
    for n in reversed(range(len(ticks))):
        partner[n] = closing.get(len(ticks[n][0]), 0)
        closing[len(ticks[n][0])] = n
    said, at, n = [], 0, 0
    while n < len(ticks):
        start, end = ticks[n], ticks[partner[n]]
        n += 1
        if partner[n - 1] and text.find("\n\n", start.end(), end.start()) < 0:
            said += [text[at : start.start()], text[start.end() : end.start()].translate(_LITERALLY)]
            at, n = end.end(), partner[n - 1] + 1
    return "".join([*said, text[at:]])


_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")


def _characters(text: str) -> str:
    return _ESCAPE.sub(lambda match: match[1].translate(_LITERALLY), text)


_LINK = (
    r"\[((?:[^\[\]]++|\[[^\[\]]*+\])*+)\]"
    r"\([ \t]*+(?:[^()\s]++|\([^()\s]*+\))*+(?:\s++(?:\"[^\"\n]*+\"|'[^'\n]*+'))?+[ \t]*+\)"
)
_IMAGE = re.compile("!" + _LINK)
_LINKED = re.compile(_LINK)


def _links(text: str) -> str:
    """Images first: one may be what a link shows."""
    return _LINKED.sub(_words_of_link, _IMAGE.sub(r"\1", text))


def _words_of_link(match: re.Match[str]) -> str:
    """A number keeps apart from what it follows: of text[1](…)[2](…) not "text12"."""
    before = match.string[match.start() - 1 : match.start()]
    return " " * (match[1][:1].isdigit() and (before.isalnum() or before == ")")) + match[1]


_BLOCKS = (
    "article|aside|blockquote|br|button|caption|center|dd|details|div|dl|dt|figcaption|figure|footer|form|"
    "h[1-6]|head|header|hr|html|iframe|li|main|nav|ol|option|p|picture|pre|script|section|select|style|"
    "summary|sup|svg|table|tbody|td|tfoot|th|thead|think|title|tr|ul|video"
)
_INLINES = (
    "abbr|audio|a|body|b|code|col|del|em|font|img|input|ins|i|kbd|label|link|mark|meta|q|samp|small|source|"
    "span|strike|strong|sub|s|tt|u|var|wbr"
)
_ATTRIBUTE = (
    r"\s++(?:[\w:.-]++\s*+=\s*+(?:\"[^\"<>]*+\"|'[^'<>]*+'|[^\s\"'<>=`]++)"
    r"|(?:open|checked|disabled|hidden|controls|selected|required)(?=[\s/>]))"
)
# Of letters outside ASCII those of alphabets: Chinese may follow an address without a space.
_IN_ADDRESS = r"!#-;=?-Z\[\]_a-z~\u00c0-\u1fff\u2c00-\u2dff"
_TOKEN = re.compile(
    rf"(?P<address><?(?:(?<![a-z0-9])(?:https?|ftp)://|(?<![\w.@/-])www\.(?=\w))[{_IN_ADDRESS}]++>?)"
    r"|<(?P<email>(?:mailto:)?+[\w.+-]++@[\w.-]++)>"
    rf"|</?(?:(?P<block>{_BLOCKS})|{_INLINES})(?:{_ATTRIBUTE})*+\s*+/?>"
    r"|(?P<comment><!--(?:[^<-]++|<(?!!--)|-(?!->))*+-->)"
    r"|(?P<entity>&(?:\#\d{1,7}|\#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,31});)"
    r"|(?P<footnote>\[\^[^\[\]\s]{1,40}\]:?)"
    r"|(?<![\w$])\$\$(?P<display>[^$]++)\$\$"
    r"|(?<![\w$])\$(?P<math>[^\s$](?:[^$\n]*+(?<=\S))?)\$(?![\w$])",
    re.IGNORECASE,
)


def _tokens(text: str) -> str:
    return _TOKEN.sub(_token, text)


def _token(match: re.Match[str]) -> str:
    kind = match.lastgroup
    if kind in ("block", "comment"):
        return f" {_GONE} "
    if kind == "footnote" or kind is None:
        return _GONE
    if kind == "address":
        return _host(match[0])
    if kind == "entity":
        return _decoded(match[0]).translate(_LITERALLY).replace("\xa0", " ")
    if kind == "email":
        return match["email"].translate(_LITERALLY)
    formula = match["display"] or match["math"]
    return formula.translate(_LITERALLY) if kind == "display" or _FORMULA.match(formula) else match[0]


def _decoded(entity: str) -> str:
    # Of &nothing; html.unescape would make ¬hing;
    return html.unescape(entity) if entity[1] == "#" else html5.get(entity[1:], entity)


_FORMULA = re.compile(r"[A-Za-z]\w?$|[^\\^_={}]*+[\\^_={}]|-?[A-Za-z(][^+*/<>-]*+[+*/<>-]")
"""What may be mathematics between two dollars, and is no talk about money."""
_HOST = re.compile(r"(?:\w++://)?(?:[^\s/?#@]*+@)?+(?:www\.)?+([^/?#:]*+)", re.IGNORECASE)


def _host(address: str) -> str:
    """`<https://www.example.com/a>` is said "example.com"; what ends the sentence is none of it."""
    bare = address.strip("<>")
    closing = ".,;:!?'*_~]" + ("" if "(" in bare else ")")
    kept = bare.rstrip(closing)
    host = _HOST.match(kept)
    return (host[1] if host else kept).translate(_LITERALLY) + bare[len(kept) :]


# -- Emphasis --

_RUN = re.compile(r"(?<!\*)\*{1,3}+(?!\*)|(?<!_)_{1,3}+(?!_)|(?<!~)~{1,2}+(?!~)|\n[ \t]*+\n")
_MARK = re.compile(r"(.)\1?")  # three are two and one: ***both* bold**


def _emphasis(text: str) -> str:
    """Without the marks that come in pairs, within a paragraph. A mark that stands alone is meant."""
    said, at = [], 0
    for start, end in sorted(_paired(text)):
        said.append(text[at:start])
        at = end
    return "".join([*said, text[at:]])


def _paired(text: str) -> Iterator[tuple[int, int]]:
    """Where the marks are that open, and that close, an emphasis."""
    opened: dict[str, list[tuple[int, bool]]] = {}
    for run in _RUN.finditer(text):
        before, after = text[run.start() - 1 : run.start()], text[run.end() : run.end() + 1]
        if run[0][0] == "\n":
            opened.clear()
        inside = _narrow(before) and _narrow(after)
        if inside and (run[0][0] == "_" or (before.isdigit() and after.isdigit())):
            continue
        for mark in _MARK.finditer(run[0]):
            start, end = run.start() + mark.start(), run.start() + mark.end()
            waiting = opened.setdefault(mark[0], [])
            # Of a*b*c neither mark is outside a word: it is a product.
            if before.strip() and waiting and not (inside and waiting[-1][1]):
                yield waiting[-1][0], waiting.pop()[0] + end - start
                yield start, end
            elif after.strip():
                waiting.append((start, inside))


def _narrow(character: str) -> bool:
    """Whether this is a letter or digit of a script that puts spaces between words."""
    return character.isalnum() and not "\u2e80" <= character <= "\uffdc"


# -- Pictures, and what they leave behind --

_PICTURE = re.compile(
    "(?:[\u2190-\u21ff\u231a\u231b\u2328\u23cf\u23e9-\u23fa\u25a0-\u266c\u2670-\u2775\u2794-\u27bf"
    "\u27f0-\u27ff\u2900-\u297f\u2b00-\u2bff\u3030\u303d\U0001f000-\U0001f0ff\U0001f10d-\U0001faff]"
    "[\ufe0e\ufe0f\u200d\u20e3\U000e0020-\U000e007f]*+)++"
)
"""Emoji, dingbats, arrows; not the sharps and flats, nor the numbers in circles."""
_SELECTOR = re.compile("[\ufe0e\ufe0f\u20e3]")  # of a keycap the digit stays


def _pictures(text: str) -> str:
    return _SELECTOR.sub("", _PICTURE.sub(f" {_GONE} ", text))


_SPACE = re.compile(r"(?<![ \t\x00])[ \t\x00]++")
_BLANK_LINES = re.compile(r"\n(?:[ \t]*+\n){2,}+")


def _tidy(text: str) -> str:
    """Where something went, one space at most; and no line where nothing else was."""
    text = _SPACE.sub(_beside_gone, text)
    return text.replace(f"{_GONE}\n", "").replace(_GONE, "")


def _beside_gone(match: re.Match[str]) -> str:
    if _GONE not in match[0]:
        return match[0]
    before = match.string[match.start() - 1 : match.start()] or "\n"
    after = match.string[match.end() : match.end() + 1] or "\n"
    if before == "\n":
        return _GONE if after == "\n" else ""
    joined = match[0] == _GONE * len(match[0]) or after in "\n.,;:!?)]}" or before in "([{"
    return "" if joined else " "
