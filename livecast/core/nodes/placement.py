"""Which shard a room lives in, and which node a shard belongs to: one answer for owners, edges and stores alike."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import shake_128
from types import MappingProxyType
from zlib import crc32

SHARDS = 256
"""Logical shards of a deployment: the grain in which rooms change owners and servers. 256 deals evenly over up to some
twenty processes. Every key of a stored room names its shard, so another number would be another deployment."""


def shard_of(room: str) -> int:
    """Give the shard (0 to `SHARDS` - 1) of a room id. CRC-32 (ISO-HDLC, as in zlib) of its UTF-8, modulo `SHARDS`.

    Python's own `hash` is salted per process; this one is the same in every process, release and language.
    """
    return crc32(room.encode()) % SHARDS


def deal(nodes: Iterable[str]) -> Mapping[int, str]:
    """Who should own which shard: every node gets its share, to one shard, and few shards move when a node comes or goes.

    Shards and nodes choose each other by weight, the heaviest pair first, as long as the node has room (rendezvous hashing with
    bounded loads). Everybody who knows of the same nodes comes to the same answer; no nodes, no answer.
    """
    return _dealt(tuple(sorted(set(nodes))))


@lru_cache(maxsize=64)
def _dealt(names: tuple[str, ...]) -> Mapping[int, str]:
    if not names:
        return {}
    share, over = divmod(SHARDS, len(names))
    pairs = sorted(((weight, shard, name) for name in names for shard, weight in enumerate(_weights(name))), reverse=True)
    room = dict.fromkeys(names, share)
    dealt: dict[int, str] = {}
    for extra in (0, 1):  # what is left over goes to as many nodes, one shard each
        for _, shard, name in pairs:
            if shard not in dealt and room[name] + extra > 0 and (not extra or over > 0):
                dealt[shard] = name
                room[name] -= 1
                over -= extra
    return MappingProxyType(dealt)


@lru_cache(maxsize=1_024)
def _weights(name: str) -> tuple[int, ...]:
    """What a node weighs for each shard, as 32 bits of SHAKE-128 of its name: equal ones are told apart by what stands beside."""
    return struct.unpack(f">{SHARDS}I", shake_128(name.encode()).digest(4 * SHARDS))
