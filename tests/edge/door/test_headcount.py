"""Connections counted in one process, and in several together: both keep to the same bounds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecast.edge.door.admission import Admission
from livecast.edge.door.headcount import KEY_BYTES, Headcount, OwnHeadcount, Table, new_memory
from livecast.edge.rules import EdgeRules

KEY = bytes(KEY_BYTES)
NAMES = st.sampled_from(["ada", "bob", "2001:db8::/64", "\udcff"])


@pytest.fixture(scope="module")
def memory():
    """Shared memory for three rows; each test takes names of its own or wipes."""
    descriptor = new_memory(3)
    yield descriptor
    os.close(descriptor)


@given(st.lists(st.tuples(st.integers(0, 1), NAMES, st.booleans()), max_size=60), st.integers(1, 4))
def test_a_bound_holds_over_all_rows(memory, steps, most):
    """Whoever takes and returns in whatever order: never more than the bound together, never refused below it."""
    table = Table(memory, 3, KEY)
    rows: tuple[Headcount, ...] = (table.headcount(0, 0), table.headcount(0, 2))
    held: list[Counter[str]] = [Counter(), Counter()]
    for row, name, comes in steps:
        if comes:
            assert rows[row].take(name, most) == (held[0][name] + held[1][name] < most)
            held[row][name] += held[0][name] + held[1][name] < most
        else:
            rows[row].remove(name)
            held[row][name] -= held[row][name] > 0
    for row, names in zip(rows, held, strict=True):
        for name in names.elements():
            row.remove(name)  # one by one: to wipe a row means to look at a million cells


def test_alone_it_is_the_same():
    """In one process the table is a dict."""
    own = OwnHeadcount()
    assert [own.take("ada", 2) for _ in range(3)] == [True, True, False]
    own.remove("ada")
    own.remove("bob")
    assert own == {"ada": 1}
    own.remove("ada")
    assert not own


def test_kinds_are_counted_apart(memory):
    """A user who is called like an address is not one."""
    table = Table(memory, 3, KEY)
    users, addresses = table.headcount(1, 0), table.headcount(0, 0)
    assert users.take("10.0.0.1", 1)
    assert addresses.take("10.0.0.1", 1)
    table.wipe(0)


def test_admission_of_two_processes_counts_together(memory):
    """The second process refuses what the first one has let in; what is refused is counted nowhere."""
    table = Table(memory, 3, KEY)
    first, second = Admission(rules := EdgeRules(connections_per_address=2, connections_per_user=1)), Admission(rules)
    first.count_together(table, 0)
    second.count_together(table, 1)
    assert first.hold("10.1.1.1", "ada")
    assert not second.hold("10.1.1.1", "ada")
    assert second.hold("10.1.1.1", "bob")
    assert not first.hold("10.1.1.1", None)
    first.release("10.1.1.1", "ada")
    assert second.hold("10.1.1.1", "ada")
    table.wipe(0)
    table.wipe(1)


def test_what_a_killed_process_held_is_free_again(memory):
    """Its row is wiped by who started it, and nobody else's."""
    table = Table(memory, 3, KEY)
    mine = table.headcount(0, 0)
    assert mine.take("ada", 5)
    script = (
        "import os, signal, sys; from livecast.edge.door.headcount import Table;"
        f"count = Table(int(sys.argv[1]), 3, bytes({KEY_BYTES})).headcount(0, 1);"
        "assert all(count.take('ada', 5) for _ in range(4)); assert not count.take('ada', 5);"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    ended = subprocess.run([sys.executable, "-c", script, str(memory)], pass_fds=[memory], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert not mine.take("ada", 5)
    table.wipe(1)
    assert [mine.take("ada", 5) for _ in range(5)] == [True, True, True, True, False]
    table.wipe(0)
