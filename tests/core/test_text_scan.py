"""Laws of looking at a text before it is parsed."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kentik_dagster.core import text_scan
from kentik_dagster.core.text_scan import scan

_ODDITIES = (b"  ", b"\n ", b"\r", b"\t", b"\xef\xbb\xbf")
_TEXTS = st.lists(st.sampled_from([b"a", b"-", b"\0", b" ", b"\n", b"\t", b"\r", b"\xef\xbb\xbf"]), max_size=40)


@given(_TEXTS.map(b"".join), st.integers(1, 8))
@example(b"", 1)
@example(b"a \n b", 2)
def test_whatever_its_steps_a_scan_says_what_searching_says(content: bytes, step: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_scan, "_STEP", step)
        seen = scan(content)

    assert seen.lines == content.count(b"\n") + (content != b"" and not content.endswith(b"\n"))
    assert seen.blanks == content.count(b" ")
    assert seen.is_regular == (not any(oddity in content for oddity in _ODDITIES))
