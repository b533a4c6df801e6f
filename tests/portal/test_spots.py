from __future__ import annotations

import pytest

from peerfhir.portal.spots import Sheet, Spot, offset, spot, written

ROWS = 'id,name,note\r\n1,"Vega, ""Mari""",\r\n\r\n2,Okoye,"two\nlines"\r\n'


def cut(text: str, found: Spot | None) -> str | None:
    """The characters of a spot, as a browser cuts them."""
    if found is None:
        return None
    return text.encode("utf-16-le")[2 * found.start : 2 * found.end].decode("utf-16-le")


@pytest.mark.parametrize(
    ("row", "column", "cell"),
    [(1, 1, "1"), (1, 2, '"Vega, ""Mari"""'), (1, 3, "\r"), (2, 2, "Okoye"), (2, 3, '"two\nlines"'), (3, 1, None),
     (1, 4, None)],
)  # fmt: skip
def test_a_cell_is_found_through_quotes_and_blank_lines(row: int, column: int, cell: str | None) -> None:
    assert cut(ROWS, Sheet(ROWS).field(f"row {row}", column, "")) == cell


def test_a_cell_comes_with_its_heading_where_there_is_one() -> None:
    assert [cut(ROWS, one) for one in Sheet(ROWS).cell("row 2, column 2")] == ["Okoye", "name"]
    other = "1;'a;b'\n2;c\n"
    sheet = Sheet(other, ";", "'", header=False)
    assert [cut(other, one) for one in sheet.cell("row 1, column 2")] == ["'a;b'", None]


DOCUMENT = '{"a": {"b": [1, {"c": "x,]y"}]}, "d": "\\"", "e/f": null,\n "list": [[], {}]}'


@pytest.mark.parametrize(
    ("pointer", "value"),
    [("/a/b/0", "1"), ("/a/b/1/c", '"x,]y"'), ("/a", '{"b": [1, {"c": "x,]y"}]}'), ("/d", '"\\""'), ("/e~1f", "null"),
     ("/list/1", "{}"), ("/nothing", None), ("/a/b/7", None), ("/d/deeper", None), ("", DOCUMENT)],
)  # fmt: skip
def test_a_value_of_json_is_found_by_its_pointer(pointer: str, value: str | None) -> None:
    assert cut(DOCUMENT, Sheet(DOCUMENT).field("/", None, pointer)) == value
    many = f"[{{}}, {DOCUMENT}]"
    assert cut(many, Sheet(many).field("/1", None, pointer)) == value


def test_lines_and_forms_have_places_too() -> None:
    lines = f'{{"a": 1}}\n{{"a": "{chr(0x1F33B)}", "b": 2}}\n'
    assert cut(lines, Sheet(lines).field("line 2", None, "/b")) == "2"
    assert cut(lines, Sheet(lines).cell("line 2, /a")[0]) == f'"{chr(0x1F33B)}"'
    form = "name=Ana&xname=no&note=a+b"
    assert cut(form, Sheet(form).field("record", None, "/note")) == "a+b"
    assert cut(form, Sheet(form).field("record", None, "/name")) == "Ana"
    assert Sheet(form).field("file", None, "") is None


@pytest.mark.parametrize("text", ["", "{", '{"a"', '{"a":', "[1,", "}", '"'])
def test_text_that_is_cut_off_has_no_places_and_breaks_nothing(text: str) -> None:
    Sheet(text).field("/", None, "/a/b")
    Sheet(text).field("row 1", 1, "")
    Sheet(text).field("line 9", None, "/a")


def test_characters_are_counted_as_browsers_count_them() -> None:
    text = f"{chr(0x1F33B)}é = x"
    assert spot("mapping", text, 5, 6) == Spot("mapping", 6, 7)
    assert str(spot("mapping", text, 0, 1)) == "mapping:0:2"


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("a: =dob", "=dob"),
        ("a: =dob   # why", "=dob"),
        ('a: "x: # y" # z', '"x: # y"'),
        ('a: "say \\"hi\\"" #', '"say \\"hi\\""'),
        ("a: 'b'", "'b'"),
        ("a: {b: =iif(c, [d, e]), f: g}", "{b: =iif(c, [d, e]), f: g}"),
        ("{b: 1, a: =iif(c, d), f: g}", "=iif(c, d)"),
        ("[b, a: =c]", "=c"),
        ("a: {b: c", "{b: c"),
        ('a: "b', '"b'),
        ("a: ", ""),
    ],
)
def test_a_value_of_yaml_ends_where_it_ends(line: str, value: str) -> None:
    text = f"# before\n{line}\nafter: 1"
    start = offset(text, 2, line.index("a: ") + 4)
    assert text[start : written(text, start)] == value


def test_a_place_behind_the_text_is_its_end() -> None:
    assert (offset("ab\nc", 2, 1), offset("ab\nc", 2, 99), offset("ab\nc", 9, 1)) == (3, 4, 4)
