"""Bodies: from anybody's bytes to a typed struct, or a problem with the place."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecast.core.commands import Emit, PutRoom
from livecast.edge.http.bodies import DEPTH_MAX, INT_MAX, check_depth, convert, decode, fault_of, parse
from livecast.edge.http.problems import Fault, ProblemError


def refusal(body: bytes, shape: type[msgspec.Struct] = PutRoom) -> ProblemError:
    """What `body` is refused with."""
    with pytest.raises(ProblemError) as caught:
        decode(body, shape)
    return caught.value


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ("Expected `int`, got `str` - at `$.hosts[0].id`", Fault("/hosts/0/id", "Expected int, got str")),
        ("Object missing required field `id` - at `$.hosts[3]`", Fault("/hosts/3/id", "Object missing required field id")),
        ("Object missing required field `a/b`", Fault("/a~1b", "Object missing required field a/b")),
        ("Expected `int` >= 0 - at `$.d[...]`", Fault("/d", "Expected int >= 0")),
        ("Object contains unknown field `x` - at `$.d[...]`", Fault("/d", "Object contains unknown field x")),
        ("Object contains unknown field `x`", Fault("/x", "Object contains unknown field x")),
    ],
)
def test_faults_have_pointers(said: str, fault: Fault) -> None:
    """What msgspec says becomes a JSON pointer and a sentence."""
    assert fault_of(said) == fault


def test_an_unknown_name_comes_with_the_nearest() -> None:
    """`titel` is refused, and `title` suggested; all unknown names are told at once."""
    problem = refusal(b'{"titel": "x", "qqqq": 1}')
    assert [fault.pointer for fault in problem.errors] == ["/titel", "/qqqq"]
    assert "'title'" in problem.errors[0].detail
    assert "meant" not in problem.errors[1].detail


def test_null_is_absent() -> None:
    """At the top and in the objects of lists; what is the caller's own keeps its nulls."""
    room = decode(b'{"title": null, "hosts": [{"id": "a", "name": null}], "custom": {"x": null}}', PutRoom)
    assert (room.title, room.hosts[0].name, room.custom) == ("", "", {"x": None})


def test_depth_has_a_bound() -> None:
    """Exactly `DEPTH_MAX` levels pass, one more does not; brackets in text do not count."""
    assert parse(b'{"a":' + b"[" * (DEPTH_MAX - 1) + b"]" * (DEPTH_MAX - 1) + b"}")
    assert refusal(b'{"a":' + b"[" * DEPTH_MAX + b"]" * DEPTH_MAX + b"}").code == "bad_message"
    assert parse(b'{"a": "' + b"[{" * 100 + b'\\" [[["}')


@given(st.binary(max_size=300) | st.text(alphabet='"\\[]{}', max_size=300).map(str.encode))
def test_the_depth_check_takes_anything(body: bytes) -> None:
    """It refuses or passes, and never fails."""
    try:
        check_depth(body)
    except ProblemError as problem:
        assert problem.code == "bad_message"  # noqa: PT017 - refusing is one of two right outcomes


def test_the_depth_check_is_linear() -> None:
    """64 KiB of the worst strings take milliseconds: were it quadratic, this would take minutes."""
    for worst in (b'"' + b'\\"' * 32_000, b'\\"' * 32_000, b'"' * 64_000, b'"a' * 32_000):
        check_depth(worst)


def test_integers_are_exact_in_javascript() -> None:
    """53 bits pass, more are refused with their place, however deep."""
    assert convert(parse(b'{"type": "x.a", "data": {"n": %d}}' % INT_MAX), Emit).data == {"n": INT_MAX}
    problem = refusal(b'{"type": "x.a", "data": {"n": [%d]}}' % (INT_MAX + 1), Emit)
    assert (problem.code, problem.errors[0].pointer) == ("invalid", "/data/n/0")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
    )
)
def test_what_is_accepted_can_be_encoded(value: object) -> None:
    """Whatever passes goes through both codecs: nothing fails later, in the room or on its way to viewers."""
    try:
        body = msgspec.json.encode({"type": "x.a", "data": value})
        passed = decode(body, Emit).data
    except (ProblemError, UnicodeEncodeError):
        return
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(passed)) == passed
