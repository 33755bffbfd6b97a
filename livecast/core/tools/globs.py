"""Globs: over room ids, what a key or token covers; over the types of events, what a webhook asks for."""

from __future__ import annotations


def glob_matches(glob: str, room: str) -> bool:
    """Whether `room` matches `glob`, where `*` is any run of characters and `?` any one; nothing else is special.

    Linear space, at most len(glob) × len(room) steps: no pattern can make it slow.
    """
    if glob in {"*", room}:
        return True
    g = r = 0
    star, mark = -1, 0
    while r < len(room):
        if g < len(glob) and glob[g] == "*":
            star, mark = g, r
            g += 1
        elif g < len(glob) and glob[g] in {"?", room[r]}:
            g += 1
            r += 1
        elif star >= 0:
            mark += 1
            g, r = star + 1, mark
        else:
            return False
    return glob[g:].strip("*") == ""
