"""A look at the bytes of a text before it is parsed: how many lines, and whether anything in them is unusual."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Small enough for the masks to stay in the processor's cache: searching for pairs of bytes one after the other, as
# `bytes` does, costs as much as parsing the text.
_STEP = 256 * 1024
_BLANK, _NEWLINE = ord(" "), ord("\n")
# None, as rewritten files have it. NODATA and other words of AWS do not begin so.
_NONE = b"None"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What a text looks like.

    Attributes:
        lines: how many it has; the last one may lack its newline.
        is_regular: single blanks alone separate its words, no line but the first begins with one, there are no tabs,
            carriage returns or byte order marks, and nothing says None.
    """

    lines: int
    is_regular: bool


def scan(content: bytes) -> Scan:
    """Look at a text once."""
    has_mark = _BYTE_ORDER_MARK[:1] in content and _BYTE_ORDER_MARK in content  # one byte is found quickly
    newlines, is_regular = 0, not (b"\r" in content or b"\t" in content or has_mark)
    says_none = False
    codes = np.frombuffer(content, np.uint8)
    for begin in range(0, len(codes), _STEP):
        part = codes[begin : begin + _STEP + 1]  # one more, so that no pair is missed
        first, second = part[:-1], part[1:]
        is_newline = first == _NEWLINE
        newlines += int(np.count_nonzero(is_newline))
        is_regular = is_regular and not (((first == _BLANK) | is_newline) & (second == _BLANK)).any()
        says_none = says_none or bool(((first == _NONE[0]) & (second == _NONE[1])).any())
    # The last byte is the first of no pair: a newline, or the end of a line without one.
    return Scan(lines=newlines + bool(content), is_regular=is_regular and not (says_none and _NONE in content))
