"""Pictures are SVG that a browser draws as it is, whatever the names and numbers."""

from __future__ import annotations

import base64
import re
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from kentik_dagster.core.pictures import columns_picture, shares_picture, short

SVG = "{http://www.w3.org/2000/svg}"


def drawn(markdown: str) -> ElementTree.Element:
    """The picture that Markdown holds."""
    match = re.fullmatch(r"!\[([^\[\]]*)\]\(data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)\)", markdown)
    assert match is not None, markdown
    return ElementTree.fromstring(base64.b64decode(match[2]))


def words(picture: ElementTree.Element) -> list[str | None]:
    return [text.text for text in picture.iter(f"{SVG}text")]


def test_columns_stand_on_each_other_and_the_highest_reaches_the_top() -> None:
    picture = drawn(columns_picture("bytes", ["00:00", "00:01"], {"inside": [1, 2], "outside": [0, 2]}))

    _axis, inside, outside = (path.attrib["d"] for path in picture.iter(f"{SVG}path"))
    heights = [[float(number) for number in re.findall(r"v([\d.]+)", path)] for path in (inside, outside)]
    assert heights == [[27.5, 55.0], [55.0]]
    assert re.findall(r"M[\d.]+ ([\d.]+)", outside) == ["26.0"]
    assert {"bytes", "4", "0", "00:00", "00:01", "inside", "outside"} == set(words(picture))


def test_a_share_is_as_wide_as_it_is_large() -> None:
    picture = drawn(shares_picture("ends", {"exact": 3, "unknown": 1}))

    bars = [float(bar.attrib["width"]) for bar in picture.iter(f"{SVG}rect") if bar.attrib["height"] == "30"]
    assert bars == [540.0, 180.0]
    assert {"exact 75.0%", "unknown 25.0%"} < set(words(picture))


@given(
    title=st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff")),
    values=st.lists(st.floats(0, 1e18), min_size=0, max_size=80),
)
def test_any_name_and_any_amount_can_be_drawn(title: str, values: list[float]) -> None:
    labels = [str(number) for number in range(len(values))]

    assert words(drawn(columns_picture(title, labels, {title: values})))[0] == (title or None)
    assert drawn(shares_picture(title, dict(zip(labels, values, strict=True)))) is not None


def test_numbers_are_said_as_people_say_them() -> None:
    assert [short(number) for number in (0, 7, 999, 1_234_567, 5e9)] == ["0", "7", "999", "1.23M", "5G"]
