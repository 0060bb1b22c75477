"""A look at the bytes of a text before it is parsed: how many lines, and whether anything in them is unusual."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Small enough for the masks to stay in the processor's cache: searching for pairs of bytes one after the other, as
# `bytes` does, costs as much as parsing the text.
_STEP = 256 * 1024
_BLANK, _NEWLINE = ord(" "), ord("\n")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What a text looks like.

    Attributes:
        lines: how many it has; the last one may lack its newline.
        blanks: how many it has.
        is_regular: single blanks alone separate its words, no line but the first begins with one, and there are no
            tabs, carriage returns or byte order marks.
    """

    lines: int
    blanks: int
    is_regular: bool


def scan(content: bytes) -> Scan:
    """Look at a text once."""
    has_mark = _BYTE_ORDER_MARK[:1] in content and _BYTE_ORDER_MARK in content  # one byte is found quickly
    blanks = newlines = 0
    is_regular = not (b"\r" in content or b"\t" in content or has_mark)
    codes = np.frombuffer(content, np.uint8)
    for begin in range(0, len(codes), _STEP):
        part = codes[begin : begin + _STEP + 1]  # one more, so that no pair is missed
        is_blank = part == _BLANK
        blanks += int(np.count_nonzero(is_blank[:_STEP]))
        newlines += int(np.count_nonzero(part[:_STEP] == _NEWLINE))
        if is_regular and ((part[:-1] <= _BLANK) & is_blank[1:]).any():  # hardly ever: control characters are few
            is_regular = not ((is_blank[:-1] | (part[:-1] == _NEWLINE)) & is_blank[1:]).any()
    # The last byte is the first of no pair: a newline, or the end of a line without one.
    has_rest = bool(content) and not content.endswith(b"\n")
    return Scan(lines=newlines + has_rest, blanks=blanks, is_regular=is_regular)
