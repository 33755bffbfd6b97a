"""The pace of an overloaded room and what is kept for resume, as tables."""

from hypothesis import given
from hypothesis import strategies as st

from livecast.core.rules import RoomRules
from livecast.shard.tick import Retention, Stretch


def test_a_room_in_time_is_not_stretched():
    """The noise of a busy loop is not overload."""
    stretch = Stretch(1000)
    assert [stretch.note(late, 200) for late in (0, 10, 50, 49)] == [0, 0, 0, 0]


def test_lateness_stretches_at_once_and_eases_off():
    """Late once: longer ticks from the next one on; in time again: back to normal within a dozen ticks."""
    stretch = Stretch(1000)
    assert stretch.note(120, 200) == 220
    eased = [stretch.note(0, 200) for _ in range(25)]
    assert eased == sorted(eased, reverse=True)
    assert eased[-1] == 0


@given(st.lists(st.integers(0, 60_000), max_size=50), st.sampled_from([50, 200, 1000, 5000]))
def test_a_stretched_tick_never_passes_the_longest(lates: list[int], tick_ms: int):
    """Ticks stretch up to `tick_max_ms` and no further; a policy above it is left alone."""
    stretch = Stretch(1000)
    for late in lates:
        assert 0 <= stretch.note(late, tick_ms) <= max(0, 1000 - tick_ms)


def test_entries_are_kept_by_number_or_time_whichever_is_more():
    """Six hundred frames are kept however old; more than that while they are young enough."""
    rules = RoomRules(log_frames_max=3, log_ms=1000)
    kept = Retention(rules)
    assert [kept.note(n, n * 100, 10) for n in range(1, 12)] == [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]
    assert kept.note(12, 2500, 10) == 10  # all but the last three are older than a second by now
    assert kept.note(13, 9000, 10) == 11


def test_bytes_bound_what_is_kept():
    """Whatever the other two say, a room's log stays within its bytes, and the newest entry is always kept."""
    rules = RoomRules(log_bytes_max=65_536)
    kept = Retention(rules)
    assert kept.note(1, 0, 40_000) == 1
    assert kept.note(2, 0, 40_000) == 2
    assert kept.note(3, 0, 900_000) == 3


@given(
    st.integers(1, 5),
    st.lists(st.tuples(st.integers(0, 700), st.integers(0, 40_000)), min_size=1, max_size=60),
)
def test_no_entry_goes_while_it_is_worth_keeping(first: int, commits: list[tuple[int, int]]):
    """All that is kept fits into the bytes (or is the newest), and is young or among the last few; what went had a reason to."""
    rules = RoomRules(log_frames_max=3, log_ms=1000, log_bytes_max=65_536)
    kept, now, noted, oldest = Retention(rules), 0, [], first
    for number, (pause, size) in enumerate(commits, first):
        now += pause
        noted.append((number, now, size))
        before, oldest = oldest, kept.note(number, now, size)
        assert before <= oldest <= number
        held = [each for each in noted if each[0] >= oldest]
        assert sum(each[2] for each in held) <= rules.log_bytes_max or len(held) == 1
        assert len(held) <= rules.log_frames_max or now - held[0][1] <= rules.log_ms
        for gone, at, _ in noted[before - first : oldest - first]:  # each had a reason to go
            later = [each for each in noted if each[0] >= gone]
            too_old = len(later) > rules.log_frames_max and now - at > rules.log_ms
            assert too_old or sum(each[2] for each in later) > rules.log_bytes_max
