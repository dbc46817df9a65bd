"""JSON as tools really write it."""

import json
import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provmanager.errors import DocumentTooDeepError, JsonSyntaxError
from provmanager.formats.json_stream import MAX_DEPTH, read_stream, read_values

END = "the end of the document"
NEXT = "',' or the end of the array or object"
CLOSING = "the closing '\"' of the string that starts here"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=20,
)


def codes(data: bytes) -> list[str]:
    return [note.code for note in read_stream(data).notes]


@given(JSON.filter(lambda value: isinstance(value, list | dict)))
def test_one_value_is_read_as_json_reads_it(value):
    assert read_values(json.dumps(value).encode()) == [json.loads(json.dumps(value))]


@given(st.lists(JSON.filter(lambda v: isinstance(v, list | dict)), min_size=2, max_size=4))
def test_values_one_after_the_other_are_all_read(values):
    for separator in ("", " ", "\n", "\r\n\t"):
        text = separator.join(map(json.dumps, values))
        assert read_values(text.encode()) == values


def test_appended_arrays_without_separator_are_two_values():
    assert read_values(b'[{"a": 1}][{"a": 2}]') == [[{"a": 1}], [{"a": 2}]]


def test_json_lines_are_one_value_a_line():
    assert read_values(b'{"a": 1}\n{"a": 2}\n') == [{"a": 1}, {"a": 2}]


def test_a_comma_between_values_is_tolerated_and_noted():
    assert read_values(b'{"a": 1},\n{"a": 2}') == [{"a": 1}, {"a": 2}]
    assert codes(b'{"a": 1},\n{"a": 2}') == ["comma-between-values"]


@pytest.mark.parametrize("data", [b'{"a": 1},', b',{"a": 1}', b'{"a": 1},,{"a": 2}', b"[1,]"])
def test_a_comma_with_nothing_beside_it_is_refused(data):
    with pytest.raises(JsonSyntaxError):
        read_values(data)


def test_nan_and_infinity_are_read_and_noted():
    [value] = read_values(b'{"e": NaN, "inf": Infinity, "low": -Infinity}')
    assert math.isnan(value["e"])
    assert (value["inf"], value["low"]) == (math.inf, -math.inf)
    stream = read_stream(b'{"e": NaN}')
    assert [note.code for note in stream.notes] == ["non-finite-number"]
    assert stream.needs_cleaning


def test_a_number_beyond_double_range_counts_as_infinite():
    stream = read_stream(b"[1e999]")
    assert stream.values == [[math.inf]]
    assert stream.needs_cleaning


def test_two_readings_of_nan_compare_equal():
    first, second = read_values(b'[{"e": [NaN]}][{"e": [NaN]}]')
    assert first == second


def test_long_integers_keep_all_digits():
    assert read_values(b"[12345678901234567890123]") == [[12345678901234567890123]]


def test_a_number_of_too_many_digits_is_a_syntax_error():
    with pytest.raises(JsonSyntaxError):
        read_values(b"[" + b"9" * 5000 + b"]")


def test_of_repeated_keys_the_last_counts_and_a_note_names_them():
    stream = read_stream(b'{"a": 1, "b": {"c": 1, "c": 2}, "a": 3}')
    assert stream.values == [{"a": 3, "b": {"c": 2}}]
    [note] = stream.notes
    assert note.code == "repeated-keys"
    assert '"a"' in note.message
    assert '"c"' in note.message


def test_repeated_keys_are_seen_in_a_stream_too():
    assert codes(b'{"a": 1}{"b": 1, "b": 2}') == ["repeated-keys"]


def test_colons_and_brackets_in_strings_are_no_structure():
    text = json.dumps({"a:b": '[[{{::\\"', "c": ["}]", ":"]})
    assert codes(text.encode()) == []


def test_a_byte_order_mark_is_passed_over():
    assert read_values(b'\xef\xbb\xbf{"a": 1}') == [{"a": 1}]


def test_offsets_count_the_byte_order_mark():
    with pytest.raises(JsonSyntaxError) as caught:
        read_values(b'\xef\xbb\xbf{"a": x}')
    assert caught.value.details["offset"] == 9


def test_nul_and_lone_surrogates_ask_for_cleaning():
    assert read_stream(b'["\\u0000"]').needs_cleaning
    assert read_stream(b'["\\udc80"]').needs_cleaning
    assert not read_stream('["é \\u00e9"]'.encode()).needs_cleaning


@pytest.mark.parametrize(
    ("data", "offset", "line", "column", "expected", "found"),
    [
        (b'{"a": 1 "b": 2}', 8, 1, 9, NEXT, "'\"'"),
        (b'{"a" 1}', 5, 1, 6, "':' after the key", "'1'"),
        (b'{\n "a": nope}', 8, 2, 7, "a value", "'n'"),
        (b"{'a': 1}", 1, 1, 2, "a key in double quotes or '}'", '"\'"'),
        (b'[{"a": 1}', 9, 1, 10, NEXT, END),
        ('{"é": "é"; }'.encode(), 11, 1, 10, NEXT, "';'"),
        (b'{"a": "x', 6, 1, 7, CLOSING, END),
    ],
)  # fmt: skip
def test_broken_json_is_refused_with_its_place(data, offset, line, column, expected, found):
    with pytest.raises(JsonSyntaxError) as caught:
        read_values(data)
    assert caught.value.details == {
        "offset": offset, "line": line, "column": column, "expected": expected, "found": found,
    }  # fmt: skip


def test_a_cut_off_document_is_called_that():
    with pytest.raises(JsonSyntaxError, match="it is cut off: send the whole file"):
        read_values(b'[{"activity_name": "ctapipe-proc')


def test_latin_1_is_refused_with_the_byte():
    with pytest.raises(JsonSyntaxError) as caught:
        read_values(b'{"a":\n "x\xe9"}')
    assert caught.value.details["offset"] == 9
    assert caught.value.details["line"] == 2
    assert caught.value.details["found"] == "byte 0xe9"
    assert caught.value.details["expected"] == "UTF-8 text"


def test_a_character_that_is_cut_in_two_is_the_end_of_the_document():
    with pytest.raises(JsonSyntaxError) as caught:
        read_values('["é'.encode()[:-1])
    assert caught.value.details["found"] == "the end of the document"


@pytest.mark.parametrize("bracket", [b"[", b'{"a":', b'[{"a":'])
def test_ten_thousand_levels_are_refused_and_crash_nothing(bracket):
    with pytest.raises(DocumentTooDeepError) as caught:
        read_values(bracket * 10_000)
    assert caught.value.details["expected"] == f"at most {MAX_DEPTH} levels"


def test_too_deep_names_the_offset_of_the_bracket_too_much():
    closed = b'{"[[": ' + b"[" * 5 + b"]" * 5 + b"}"
    with pytest.raises(DocumentTooDeepError) as caught:
        read_values(closed, max_depth=5)
    assert caught.value.details["offset"] == 11
    assert read_values(closed, max_depth=6) == [{"[[": [[[[[]]]]]}]


def test_many_shallow_values_are_not_too_deep():
    assert len(read_values(b"[{}]" * 1000)) == 1000


def test_brackets_in_strings_do_not_count_as_depth():
    text = json.dumps(["[" * 1000])
    assert read_values(text.encode()) == [["[" * 1000]]


def test_without_orjson_the_same_is_read():
    program = (
        "import sys; sys.modules['orjson'] = None\n"
        "from provmanager.formats.json_stream import read_stream, orjson\n"
        "assert orjson is None\n"
        "stream = read_stream(b'{\"a\": [1, 2.5, null]}')\n"
        "assert stream.values == [{'a': [1, 2.5, None]}] and not stream.notes\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
