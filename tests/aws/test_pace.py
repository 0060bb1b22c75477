"""Requests go below AWS's limits from the start, and slower after AWS throttled."""

from __future__ import annotations

import heapq
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kentik_dagster.aws.pace import Pace

THROTTLED = "RequestLimitExceeded"
JITTER = 0.2 + 1e-6  # of a request, for each thread that waits: nothing beside what AWS leaves above our rates


class Time:
    """A clock that sleeping moves on."""

    def __init__(self) -> None:
        self.now = 0.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def sent(pace: Pace, time: Time, pauses: list[float], codes: list[str | None] | None = None) -> list[float]:
    """When requests go that one thread wants to send after these pauses; each is answered at once."""
    at = []
    for number, pause in enumerate(pauses):
        time.now += pause
        pace.wait("DescribeVpcs")
        at.append(time.now)
        if codes is not None:
            pace.answered("DescribeVpcs", codes[number])
    return at


def most_in_a_window(at: list[float], rate: float) -> float:
    """How many requests more than `rate` there are in the worst window of any length."""
    return max(
        last - first + 1 - rate * (at[last] - at[first]) for first in range(len(at)) for last in range(first, len(at))
    )


rates = st.floats(0.5, 50)
bursts = st.integers(1, 20)


@settings(max_examples=100, deadline=None)
@given(rates, bursts, st.lists(st.floats(0, 3), min_size=1, max_size=60), st.data())
def test_no_window_has_more_requests_than_the_burst_and_the_rate(
    rate: float, burst: int, pauses: list[float], data: st.DataObject
) -> None:
    time = Time()
    codes = data.draw(
        st.lists(st.sampled_from([None, THROTTLED, "AccessDenied"]), min_size=len(pauses), max_size=len(pauses))
    )

    at = sent(Pace(rate, burst, clock=time.clock, sleep=time.sleep), time, pauses, codes)

    assert most_in_a_window(at, rate) <= burst + JITTER


@settings(max_examples=50, deadline=None)
@given(rates, bursts, st.integers(2, 8))
def test_threads_that_wait_together_keep_the_pace_too(rate: float, burst: int, threads: int) -> None:
    time = Time()
    naps: list[float] = []
    pace = Pace(rate, burst, clock=time.clock, sleep=naps.append)
    at = []
    idle_from = [0.0] * threads

    for _ in range(burst + 5 * threads):
        time.now = heapq.heappop(idle_from)
        naps.clear()
        pace.wait("DescribeVpcs")
        at.append(time.now + sum(naps))
        heapq.heappush(idle_from, at[-1])

    assert most_in_a_window(sorted(at), rate) <= burst + JITTER * threads


def test_operations_do_not_wait_for_each_other() -> None:
    time = Time()
    pace = Pace(1, 1, clock=time.clock, sleep=time.sleep)

    pace.wait("DescribeVpcs")
    pace.wait("DescribeSubnets")

    assert time.now == 0


def test_throttling_ends_the_burst_and_slows_down_each_time() -> None:
    time = Time()
    pace = Pace(8, 50, clock=time.clock, sleep=time.sleep)

    at = sent(pace, time, [0] * 4, [THROTTLED] * 4)

    waits = [later - earlier for earlier, later in pairwise(at)]
    assert all(slow <= wait <= slow * 2.5 for wait, slow in zip(waits, (1 / 4, 1 / 2, 1), strict=True))
    assert pace.throttled == {"DescribeVpcs": 4}


def test_however_often_aws_throttles_there_is_a_request_every_few_seconds() -> None:
    time = Time()
    pace = Pace(8, 50, clock=time.clock, sleep=time.sleep)

    at = sent(pace, time, [0] * 30, [THROTTLED] * 30)

    assert at[-1] - at[-2] <= 5 * 1.2


def test_the_pace_recovers_once_aws_answers_again() -> None:
    time = Time()
    pace = Pace(8, 1, clock=time.clock, sleep=time.sleep)
    sent(pace, time, [0] * 10, [THROTTLED] * 10)

    at = sent(pace, time, [0] * 60, [None] * 60)

    waits = [later - earlier for earlier, later in pairwise(at)]
    assert waits[0] > 3
    assert waits[-1] == pytest.approx(1 / 8, rel=0.2)
    assert sum(waits) < 120


def test_another_error_is_no_reason_to_slow_down() -> None:
    time = Time()
    pace = Pace(8, 50, clock=time.clock, sleep=time.sleep)

    at = sent(pace, time, [0] * 40, ["UnauthorizedOperation"] * 40)

    assert at[-1] == 0
    assert pace.throttled.total() == 0
