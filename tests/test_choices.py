"""Reading people's answers: what is right is read exactly, what is wrong is named."""

import hashlib

import numpy as np
import pytest
from human_answers import study, write_csv
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.choices import (
    Layout,
    asked_about,
    coding_text,
    parse_coding,
    read_choices,
)
from populations.errors import InputError

HEADER = (
    "person,decision,left_age,left_drinks_per_day,left_child_dependents,"
    "right_age,right_drinks_per_day,right_child_dependents"
)
GOOD = "ann,left,30,1,0,60,2,1"


def written(tmp_path, *rows, header=HEADER):
    path = tmp_path / "answers.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def refused(path, **options):
    with pytest.raises(InputError) as caught:
        read_choices(path, **options)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


def test_a_file_by_hand(tmp_path):
    path = written(
        tmp_path,
        GOOD,
        "ben,coin,60,2,1,30,1,0",
        "ann,right,30,1,0,60,2,2",
        "ann, left ,25,5,2,70,1,0",
    )
    read = read_choices(path)
    assert read.a["age"].tolist() == [30, 60, 30, 25]
    assert read.b["child_dependents"].tolist() == [1, 0, 2, 0]
    assert read.a["drinks_per_day"].tolist() == [1, 2, 1, 5]
    assert read.answers.tolist() == [[1, 0, 0], [0, 0, 1], [0, 1, 0], [1, 0, 0]]
    assert read.person.tolist() == [0, 1, 0, 0]
    assert read.people == 2
    assert read.pair[0] == read.pair[1]  # whichever was on the left
    assert len(set(read.pair.tolist())) == 3
    assert sorted(set(read.pair.tolist())) == [0, 1, 2]
    assert read.asked.directions == {"age": -1, "drinks_per_day": -1, "child_dependents": 1}
    assert read.asked.scale["age"] == (25, 70)
    assert read.source == "answers.csv"
    assert read.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_another_layout_and_coding(tmp_path):
    path = written(
        tmp_path,
        '7,0,u1,1,46,2,"note, with comma",0,43',
        "8,2,u2,1,25,2,,0,70",
        "9,1,u1,1,25,2,,0,70",
        header="row,decision,user_id,l2,l1,l3,note,r3,r1",
    )
    layout = Layout("user_id", left=("l1", "l2"), right=("r1", "r3"))
    read = read_choices(
        path,
        columns=layout,
        coding=parse_coding("0=left,1=right,2=coin"),
        attributes=("age=25:70:-", "dependents=0:2:?"),
    )
    assert read.asked.schema == "own"
    assert read.asked.directions == {"age": -1, "dependents": 0}
    assert read.a["age"].tolist() == [46, 25, 25] and read.b["dependents"].tolist() == [0, 0, 0]
    assert read.answers.argmax(axis=1).tolist() == [0, 2, 1]
    assert read.person.tolist() == [0, 1, 0]


def test_a_byte_order_mark_and_windows_lines(tmp_path):
    path = tmp_path / "answers.csv"
    path.write_bytes(b"\xef\xbb\xbf" + f"{HEADER}\r\n{GOOD}\r\n".encode())
    assert len(read_choices(path).answers) == 1


def test_nothing_is_lost(tmp_path):
    left, right, answers, person = study(np.random.default_rng(1), n=300, people=7)
    read = read_choices(write_csv(tmp_path / "a.csv", left, right, answers, person))
    assert np.array_equal(np.stack(list(read.a.values()), axis=1), left)
    assert np.array_equal(np.stack(list(read.b.values()), axis=1), right)
    assert np.array_equal(read.answers, answers)
    assert np.array_equal(read.person, person)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("ann,left,30,1,0,60,2", ("row 3", "7 fields: expected 8")),
        (f"{GOOD},9", ("row 3", "9 fields: expected 8")),
        ("", ("row 3", "0 fields")),
        (",left,30,1,0,60,2,1", ("row 3", "column 'person'", "empty")),
        ("ann,,30,1,0,60,2,1", ("row 3", "column 'decision'", "''", "coin=coin")),
        ("ann,Left,30,1,0,60,2,1", ("row 3", "column 'decision'", "'Left'", "left=left")),
        ("ann,left,30,1,0,,2,1", ("row 3", "column 'right_age'", "''", "age from 25 to 70")),
        ("ann,left,30,1,0,old,2,1", ("row 3", "'right_age'", "'old'")),
        ("ann,left,24,1,0,60,2,1", ("row 3", "'left_age'", "'24'", "25 to 70")),
        ("ann,left,30,nan,0,60,2,1", ("row 3", "'left_drinks_per_day'", "'nan'", "1 to 5")),
        ("ann,left,30,1,inf,60,2,1", ("row 3", "'left_child_dependents'", "'inf'")),
        ('ann,left,"30,1,0,60,2,1', ("row 3", "expected CSV")),
    ],
)
def test_a_bad_row_is_named(tmp_path, row, said):
    path = written(tmp_path, GOOD, row)
    message = refused(path)
    for part in (str(path), *said):
        assert part in message


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (HEADER.replace("person", "persn"), "0 columns 'person': did you mean 'persn'?"),
        (HEADER.replace("right_age", "left_age"), "2 columns 'left_age'"),
        (HEADER.replace("decision", "choice"), "the header has person, choice"),
    ],
)
def test_a_bad_header_is_named(tmp_path, header, said):
    assert said in refused(written(tmp_path, GOOD, header=header))


def test_bad_files(tmp_path):
    assert "No such file" in refused(tmp_path / "none.csv")
    assert "Is a directory" in refused(tmp_path)
    empty = tmp_path / "empty.csv"
    empty.write_text("")
    assert "the header has nothing" in refused(empty)
    empty.write_text('"a\nb",c\n')
    assert "the header has a b, c" in refused(empty)
    empty.write_text(HEADER + "\n")
    assert "no answers" in refused(empty)
    empty.write_bytes(HEADER.encode() + b"\nann,left,\xff\n")
    assert "not UTF-8" in refused(empty)


def test_bad_options(tmp_path):
    path = written(tmp_path, GOOD)
    assert "did you mean 'indecision3'" in refused(path, schema="indecison3")
    assert "expected 3, one each for age" in refused(path, columns=Layout(left=("left_age",)))
    assert "read as two things" in refused(path, columns=Layout(person="decision"))


@pytest.mark.parametrize(
    "text",
    [
        "age", "age=25:70", "age=70:25:-", "age=25:25:-", "age=a:70:-", "age=25:inf:-",
        "age=25:70:up", "my age=25:70:-", "=1:2:+", "âge=25:70:-",
    ],
)  # fmt: skip
def test_bad_attributes(text):
    with pytest.raises(InputError, match="NAME=LOW:HIGH:DIRECTION"):
        asked_about(attributes=(text,))


def test_an_attribute_twice():
    with pytest.raises(InputError, match="new name"):
        asked_about(attributes=("age=25:70:-", "age=1:2:+"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0=left,0=right", "each value once"),
        ("0=left,1=rigth", "one of left, right, coin"),
        ("0,1,2", "VALUE=ANSWER"),
        ("0=left,2=coin", "no value means right"),
        ("", "VALUE=ANSWER"),
    ],
)
def test_bad_codings(text, said):
    with pytest.raises(InputError, match=said):
        parse_coding(text)


def test_several_values_may_mean_the_same():
    coding = parse_coding("l=left, L=left, r=right, ?=coin")
    assert coding == {"l": "left", "L": "left", "r": "right", "?": "coin"}
    assert parse_coding(coding_text(coding)) == coding


@settings(max_examples=100, deadline=None)
@given(text=st.text(max_size=80) | st.binary(max_size=80))
def test_any_file_is_read_or_refused(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("any") / "a.csv"
    content = text if isinstance(text, bytes) else text.encode(errors="surrogatepass")
    path.write_bytes(HEADER.encode() + b"\n" + content)
    try:
        read_choices(path)
    except InputError as error:
        assert str(path) in str(error)
