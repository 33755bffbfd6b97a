"""Ids of gifts, spending limits and the calendar they go by."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from livecast.core.money.coins import (
    Gift,
    SpendLimits,
    day_of,
    limit_ends_in,
    month_of,
    objection_to_gift,
    service_of,
    service_tx,
    viewer_tx,
)

MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - the strategy adds the zone


@given(MOMENTS)
def test_days_and_months_are_those_of_utc(moment: datetime) -> None:
    """The calendar's arithmetic agrees with the standard library's, over leap years and centuries."""
    now = int(moment.timestamp() * 1000)
    moment = datetime.fromtimestamp(now // 1000, UTC)
    assert day_of(now) == moment.toordinal() - datetime(1970, 1, 1, tzinfo=UTC).toordinal()
    assert month_of(now) == 12 * moment.year + moment.month - 1


user_ids = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="/"), min_size=1)


@given(user_ids, st.text(), user_ids, st.text())
def test_gift_ids_never_meet(user: str, cid: str, other: str, tx: str) -> None:
    """Two pairs have one id only if they are the same; a viewer's and a service's never are."""
    assert viewer_tx(user, cid) != service_tx(other, tx)
    assert (viewer_tx(user, cid) == viewer_tx(other, tx)) is ((user, cid) == (other, tx))
    assert (service_tx(user, cid) == service_tx(other, tx)) is ((user, cid) == (other, tx))
    assert service_of(service_tx(user, cid)) == (user, cid)
    assert service_of(viewer_tx(user, cid)) == ("", viewer_tx(user, cid))


def test_limits_are_inclusive() -> None:
    """What reaches a limit is allowed; the first one that is passed is named."""
    gift = Gift("t", "ann", "demo", "b1", "rose", 1, 10)
    table = [
        (SpendLimits(), 10**9, 10**9, None),
        (SpendLimits(10, 15, 20), 5, 10, None),
        (SpendLimits(9, 0, 0), 0, 0, "per_gift"),
        (SpendLimits(10, 15, 0), 6, 0, "per_day"),
        (SpendLimits(None, None, 20), 0, 11, "per_month"),
    ]
    for limits, day, month, field in table:
        refusal = objection_to_gift(gift, limits, day, month)
        assert (refusal and refusal.field) == field


@given(MOMENTS)
def test_a_limit_ends_with_its_day_or_month(moment: datetime) -> None:
    """Right then the next one has begun, and a moment before it has not."""
    now = int(moment.timestamp() * 1000)
    for field, period_of in (("per_day", day_of), ("per_month", month_of)):
        end = now + limit_ends_in(field, now)
        assert period_of(end - 1) == period_of(now) < period_of(end)
    assert limit_ends_in("per_gift", now) == 86_400_000
