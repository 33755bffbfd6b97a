"""Copies of the service with a bug planted in them, to be run as real processes: what the checker must catch."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

import livecast


class Edit(NamedTuple):
    """One place of one file: what stands there, once, and what stands there instead."""

    file: str
    old: str
    new: str


class Bug(NamedTuple):
    """A planted bug, and the promises whose breaking it must be convicted of."""

    name: str
    promises: tuple[str, ...]
    edits: tuple[Edit, ...]


def plant(bug: Bug, directory: Path) -> Path:
    """A directory with the mutant in it, to go on PYTHONPATH before all others.

    What Python made of our files goes with them, or the mutant would compile all of it anew: seconds of a core. It holds for
    files of the same time and size, so for none that is edited.
    """
    ours = Path(livecast.__file__).parent
    shutil.copytree(ours, directory / "livecast", ignore=shutil.ignore_patterns("node_modules", "*.pyc.*"))  # being written
    for edit in bug.edits:
        file = directory / "livecast" / edit.file
        source = file.read_text()
        assert source.count(edit.old) == 1, f"{bug.name}: {edit.file} has {source.count(edit.old)} times {edit.old!r}"
        file.write_text(source.replace(edit.old, edit.new))
        for compiled in file.parent.glob(f"__pycache__/{file.stem}.*"):
            compiled.unlink(missing_ok=True)  # two edits within a second of equal length would be one
    return directory


_CLAIM = "adapters/redis/lua/ledger/claim.lua"
_PRELUDE = "adapters/redis/lua/ledger/prelude.lua"
_DEBIT = "adapters/redis/lua/ledger/gift_debit.lua"
_CALLS = "adapters/redis/ledger_calls.py"

NO_LIMIT_PER_USER = Bug(
    "the check of units per user is left out",
    ("per_user",),
    (Edit(_CLAIM, "if has >= drop.per_user or entry_of[user] then", "if entry_of[user] then"),),
)
STOCK_READ_EARLY = Bug(
    "the stock is read once and written later",
    ("oversold",),
    (
        Edit(_CLAIM, "local function decide(i)", "local left_when_read = drop.left\nlocal function decide(i)"),
        Edit(_CLAIM, "elseif drop.left == 0 then\n    return refuse", "elseif left_when_read == 0 then\n    return refuse"),
    ),
)
REFUSAL_KEPT = Bug(
    "`not_open` is remembered, which time changes",
    ("stale refusal",),
    (
        Edit(_CLAIM, "closed = 'c'}, {}, {}", "closed = 'c', not_open = 'n'}, {}, {}"),
        Edit(_CLAIM, "return {'N', opens_in_ms}", "return refuse(user, cid, 'not_open')"),
        Edit(_CLAIM, "= cmsgpack.pack(verdict)", "= cmsgpack.pack(verdict == 'not_open' and {'N', -1} or verdict)"),
    ),
)
POVERTY_KEPT = Bug(
    "`insufficient_funds` is remembered, which a credit changes",
    ("stale refusal",),
    (
        Edit(
            _DEBIT,
            "if wallet.balance < value then\n",
            "if wallet.balance < value then\n  redis.call('SET', debit_key, cmsgpack.pack({'poor'}), 'PX', ARGV[12])\n",
        ),
        Edit(
            _DEBIT,
            "if known then\n  local first = cmsgpack.unpack(known)\n",
            "if known then\n  local first = cmsgpack.unpack(known)\n"
            "  if first[1] == 'poor' then\n    return {position, 'REFUSED', 'insufficient_funds', ''}\n  end\n",
        ),
    ),
)
TOLD_BEFORE_SAFE = Bug(
    "people are told before the replica has it",
    ("lost", "changed answer"),
    (Edit(_CALLS, "return self.replicas > 0", "return False"),),
)
NO_BARRIER = Bug(
    "a stored answer is confirmed without a write of its own",
    ("lost", "changed answer"),
    (
        Edit(
            _PRELUDE, "local position = redis.call('INCR', KEYS[1])", "local position = tonumber(redis.call('GET', KEYS[1]) or '0')"
        ),
        Edit(_PRELUDE, "if position <= tonumber(ARGV[1]) then", "if position < tonumber(ARGV[1]) then"),
        Edit(_PRELUDE, "if entries > 0 then\n    position", "if true then\n    position"),
        # Only repeats write nothing then; refusals of this kind are remembered with a write.
    ),
)
TWICE_BOOKED = Bug(
    "a repeated gift is booked again",
    ("lost", "booked twice", "changed answer"),
    (Edit(_DEBIT, "local known = redis.call('GET', debit_key)", "local known = false"),),
)

_COMMIT = "adapters/redis/lua/commit.lua"
_FENCE = "if redis.call('GET', KEYS[1]) ~= token then"

NO_FENCE = Bug(
    "a commit's fence is not looked at",
    ("test_a_commit_under_another_token_is_fenced",),
    (Edit(_COMMIT, _FENCE, "if false then"),),
)
FENCE_BY_ORDER = Bug(
    "the fence is compared by order instead of equality",
    ("test_the_last_taker_wins", "test_a_commit_under_another_token_is_fenced"),
    (Edit(_COMMIT, _FENCE, "if (redis.call('GET', KEYS[1]) or '') > token then"),),
)
HOLES_TAKEN = Bug(
    "a commit whose number is not the next is taken",
    ("test_a_commit_out_of_order_writes_nothing",),
    (Edit(_COMMIT, "elseif last_number + 1 ~= number then", "elseif last_number >= number then"),),
)

_OWNERSHIP = "shard/ownership.py"

TWO_OWNERS = Bug(
    "two own a shard and both go on speaking: neither token nor place is looked at, nor how long one slept, and none gives",
    ("fencing", "cross-room", "two versions"),
    (
        Edit(_COMMIT, _FENCE, "if false then"),
        Edit(_COMMIT, "elseif number ~= 1 or ARGV[11] == '' then", "elseif false then"),
        Edit(
            _COMMIT, "local entry = {'XADD', KEYS[4], number .. '-0', 's', seq}", "local entry = {'XADD', KEYS[4], '*', 's', seq}"
        ),
        Edit(_OWNERSHIP, "return self._monotonic_s() < self._trusted_until_s", "return True"),
        Edit(_OWNERSHIP, "asleep = bool(owned) and began_s >= self._trusted_until_s", "asleep = False"),
        Edit(_OWNERSHIP, "self._to_verify |= self._members.claimed(owned.keys())", "self._members.claimed(owned.keys())"),
        # Or the second one hands back what it took as soon as the first is there again, and one of them speaks at a time.
        Edit(_OWNERSHIP, "while surplus := sorted(self._shards.tokens.keys() - self._wanted()):", "while surplus := list[int]():"),
    ),
)
HOLES_SHOWN = Bug(
    "a frame that does not follow on what was shown is shown, and nobody looks for more when something may have been missed",
    ("gap",),
    (
        Edit(
            "core/view.py",
            "if frame.epoch != self.epoch or frame.seq != self.seq + 1:",
            "if frame.epoch != self.epoch or frame.seq <= self.seq:",
        ),
        # Or it is a matter of luck whether the next frame comes before that look.
        Edit("edge/rooms/following.py", "self._node.rechecks.note(self)", "self._node.rechecks"),
    ),
)
FRAMES_ASTRAY = Bug(
    "a frame is handed to those who watch other rooms",
    ("cross-room",),
    (
        Edit(
            "edge/rooms/hub.py",
            "        self._fanout.frame(sealed, frame.seq)\n",
            "        for hub in self.node.views.hubs():\n            hub._fanout.frame(sealed, frame.seq)\n",
        ),
    ),
)
