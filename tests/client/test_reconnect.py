"""When a client comes back: the table of close codes, and jitter over the whole interval."""

from __future__ import annotations

import random

import pytest

from livecast.client.messages import Bye
from livecast.client.reconnect import FIRST_S, LAST_S, Again, Stop, after, after_handshake, pause_s

RNG = random.Random(1)


@pytest.mark.parametrize("code", [4002, 4003, 4010, 4400, 4401, 4403, 4404, 1002, 1009])
def test_some_closes_are_final(code: int) -> None:
    """Coming back as the same client would only be turned away again."""
    assert isinstance(after(code, None, 0, RNG, can_renew=False), Stop)


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1011, 1012, 4000, 4008, 4429, 4503])
def test_others_are_not(code: int) -> None:
    """The server may be well again in a moment, or another one is."""
    step = after(code, None, 0, RNG, can_renew=False)
    assert isinstance(step, Again)
    assert 0 <= step.delay_s <= FIRST_S


def test_the_farewell_has_the_last_word() -> None:
    """`bye` says whether to come back, and when, whatever the code usually means."""
    assert after(4404, Bye(4404, "soon", True, 700), 0, RNG, can_renew=False) == Again(0.7)
    assert after(4000, Bye(4000, "moved for good", False, 0), 0, RNG, can_renew=False) == Stop(4000, "moved for good")


def test_a_farewell_is_not_obeyed_into_a_tight_loop() -> None:
    """A server that keeps saying `come back at once` is asked ever less often."""
    waits = [after(4503, Bye(4503, "", True, 0), attempt, RNG, can_renew=False) for attempt in range(1, 200)]
    assert sum(step.delay_s for step in waits if isinstance(step, Again)) > 199 * 5


def test_a_farewell_is_obeyed_after_failed_tries_too() -> None:
    """Never sooner than told."""
    for attempt in range(20):
        step = after(4000, Bye(4000, "", True, 45_000), attempt, RNG, can_renew=False)
        assert isinstance(step, Again)
        assert step.delay_s >= 45


def test_an_expired_token_is_renewed_if_there_is_a_source() -> None:
    """With a source of tokens: at once, with a fresh one. Without: that was it. Refused even fresh: that was it."""
    assert after(4001, Bye(4001, "expired", False, 0), 0, RNG, can_renew=True) == Again(0.0, fresh=True)
    assert isinstance(after(4001, Bye(4001, "expired", True, 0), 0, RNG, can_renew=False), Stop)
    assert after(4401, None, 0, RNG, can_renew=True) == Again(0.0, fresh=True)
    assert isinstance(after(4401, None, 1, RNG, can_renew=True), Stop)


def test_full_jitter_fills_an_interval_that_doubles() -> None:
    """First over three seconds, then over six, at last over thirty; never in step."""
    rng = random.Random(4)
    for attempt, bound in enumerate((FIRST_S, 6.0, 12.0, 24.0, LAST_S, LAST_S)):
        waits = [pause_s(attempt, rng) for _ in range(500)]
        assert 0 <= min(waits) < bound * 0.05
        assert bound * 0.95 < max(waits) <= bound


def test_a_busy_handshake_waits_at_least_as_told() -> None:
    """503 and 429 name their time in seconds; other refusals are final."""
    for status in (503, 429):
        step = after_handshake(status, "7", 0, RNG)
        assert isinstance(step, Again)
        assert 7 <= step.delay_s <= 10
    assert isinstance(after_handshake(502, "Wed, 21 Oct 2026 07:28:00 GMT", 0, RNG), Again)
    assert isinstance(after_handshake(404, None, 0, RNG), Stop)
