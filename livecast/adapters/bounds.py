"""Bounds that the memory and the Redis adapters share, so that both keep the same promises."""

from __future__ import annotations

REMEMBERED_BYTES_MAX = 8 * 1024 * 1024
"""Answers for repeated ids kept per room, oldest forgotten first. At about 70 bytes each that is 120,000 verdicts: ten
minutes of 200 comments a second. Twice as much would double the longest pause of a new owner reading them (about 40 ms)."""

IDEMPOTENCY_MS = 24 * 3600 * 1000
"""How long the first answer to an `Idempotency-Key` is given again."""

CODES_PER_CALL_MAX = 10_000
"""Lines of an upload in one call: some 10 ms of the store's time, which everybody else's calls wait for."""
UPLOAD_KEEP_MS = 3600 * 1000
"""How long an upload of codes waits for its next lines. A million lines take a minute; a merchant's pause is not an hour."""
UPLOAD_REPEATED_SHOWN_MAX = 100
"""Numbers of repeated lines that are told. Whoever has more has uploaded the wrong file."""

WEBHOOK_ONCE_MS = 40 * 86_400_000
"""How long it is remembered that a thing was told which is told once. Rooms are looked at again for what began within 30 days."""
HOUSE_ACTS_MAX = 10_000
"""Lines kept of what staff did beyond single rooms: some 2 MB. Years of bans, or a busy month."""
ROOM_ACTS_MAX = 2_000
"""Lines kept of what staff did in one room, where nobody asks the archive: some 400 KB."""
