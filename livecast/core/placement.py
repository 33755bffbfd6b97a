"""Which shard a room lives in: one stable answer for owners, edges and stores alike."""

from __future__ import annotations

from zlib import crc32

SHARDS = 256
"""Logical shards of a deployment: the grain in which rooms change owners and servers. 256 deals evenly over up to some
twenty processes. Every key of a stored room names its shard, so another number would be another deployment."""


def shard_of(room: str) -> int:
    """Give the shard (0 to `SHARDS` - 1) of a room id. CRC-32 (ISO-HDLC, as in zlib) of its UTF-8, modulo `SHARDS`.

    Python's own `hash` is salted per process; this one is the same in every process, release and language.
    """
    return crc32(room.encode()) % SHARDS
