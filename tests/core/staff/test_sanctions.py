"""Mutes and bans: in force until their time is up or they are taken back."""

from __future__ import annotations

import pytest

from livecast.core.errors import InvalidChange, Refusal
from livecast.core.staff import sanctions as s
from livecast.core.staff.sanctions import Sanction, Sanctions, impose, lift, standing


def test_a_mute_ends_by_itself_to_the_millisecond() -> None:
    """A timed one says how long it is still worth waiting; one for ever, to ask again in an hour."""
    both = Sanctions()
    impose(both.mutes, "u", Sanction(0, 1000, "mod", ""))
    impose(both.mutes, "v", Sanction(0, 0, "mod", ""))
    assert both.refusal("u", 400) == Refusal("muted", retry_after_ms=600)
    assert both.refusal("u", 1000) is None
    assert both.refusal("v", 10**12) == Refusal("muted", retry_after_ms=3_600_000)
    assert both.refusal("w", 0) is None


def test_the_longer_of_mute_and_ban_counts() -> None:
    """Waiting for the shorter one would be in vain."""
    both = Sanctions()
    impose(both.mutes, "u", Sanction(0, 1000, "mod", ""))
    impose(both.bans, "u", Sanction(0, 5000, "mod", ""))
    assert both.refusal("u", 0) == Refusal("muted", retry_after_ms=5000)
    assert both.refusal("u", 2000) == Refusal("muted", retry_after_ms=3000)
    impose(both.bans, "u", Sanction(0, 0, "mod", ""))
    assert both.refusal("u", 0) == Refusal("muted", retry_after_ms=3_600_000)


def test_only_what_stands_can_be_lifted() -> None:
    """Lifting nothing, or what is over, is `not_found`."""
    both = Sanctions()
    impose(both.mutes, "u", Sanction(0, 1000, "mod", ""))
    for user, at in (("v", 0), ("u", 1000)):
        with pytest.raises(InvalidChange) as refused:
            lift(both.mutes, user, at)
        assert refused.value.refusal.code == "not_found"
    lift(both.mutes, "u", 999)
    assert standing(both.mutes, "u", 999) is None


def test_a_full_book_first_forgets_what_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound refuses a further mute, but never a longer one for somebody muted already."""
    monkeypatch.setattr(s, "SANCTIONS_MAX", 3)
    both = Sanctions()
    for n, until in enumerate((10, 0, 0)):
        impose(both.mutes, f"u{n}", Sanction(0, until, "mod", ""))
    with pytest.raises(InvalidChange):
        impose(both.mutes, "more", Sanction(5, 0, "mod", ""))
    impose(both.mutes, "u1", Sanction(5, 99, "mod", ""))
    impose(both.mutes, "more", Sanction(10, 0, "mod", ""))
    assert set(both.mutes) == {"u1", "u2", "more"}


def test_what_is_stored_is_read_back() -> None:
    """A new owner knows the same mutes and bans, without those that were over."""
    both, again = Sanctions(), Sanctions()
    impose(both.mutes, "u", Sanction(1, 1000, "mod", "spam"))
    impose(both.mutes, "over", Sanction(1, 2, "mod", ""))
    impose(both.bans, "v", Sanction(2, 0, "host", ""))
    again.restore({**both.private(10), "mutes": {**both.private(10)["mutes"], "late": [1, 11, "mod", ""]}}, 11)
    assert again.mutes == {"u": Sanction(1, 1000, "mod", "spam")}
    assert again.bans == both.bans
    assert not again.fade(999)
    assert not again.mutes.keys() - {"u"}
