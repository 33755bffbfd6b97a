"""Danmaku XML, read as it is found: streaming, and never giving up on a file because of a few bad bytes.

The format is what video players exchange: one `<d p="second,mode,size,colour,unix,pool,user,row">text</d>` per comment
inside `<i>…</i>`. Real exports are often not well-formed: stray control characters, bare `&`, a missing or cut-off end. So
this is a scanner and no XML parser. What it cannot use it leaves out, and `Skipped` says how many bytes and why.
"""

from __future__ import annotations

import codecs
import json
import math
import re
import zlib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import IO, Final, Literal

from msgspec import Struct

Mode = Literal["scroll", "top", "bottom"]

#: 1 to 3 cross the screen, 4 stands at the bottom, 5 at the top, 6 crosses the other way, 7 carries its text in JSON.
MODES: Final[dict[int, Mode]] = {1: "scroll", 2: "scroll", 3: "scroll", 4: "bottom", 5: "top", 6: "scroll", 7: "scroll"}
WHITE: Final = 0xFFFFFF  # the players' default; not worth a style

ELEMENT_CHARS_MAX: Final = 65_536  # an element longer than this is no comment; bounds what is held of a file without any end tag
_CHUNK_BYTES: Final = 65_536
_UNPACKED_BYTES: Final = 8192  # what one call unpacks; so much is lost where the packed data turns out broken
_BAD_BYTE: Final = "\ufdd0"  # a noncharacter: stands for one byte that could not be decoded
_UNWANTED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufdd0\ufffe\uffff]")
_OPENING = re.compile(r"<d\s")
_OPEN = re.compile(r"<d\s([^<>]*)>")
_P = re.compile(r"""\bp\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_END = re.compile(r"</d\s*>|<d\s")
_ENTITY = re.compile(r"&(?:#[xX]([0-9a-fA-F]{1,6})|#([0-9]{1,7})|(amp|lt|gt|quot|apos));")
_NAMED: Final = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_BOMS: Final = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_DECLARED = re.compile(rb"""<\?xml[^>]*\bencoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")


class Danmaku(Struct, frozen=True):
    """One recorded comment. `at_s` is seconds into the video, `sent_ms` when it was written (Unix ms), `user` a hash."""

    at_s: float
    mode: Mode
    size: int
    color: int
    sent_ms: int
    pool: int
    user: str
    row: str
    text: str

    @property
    def style(self) -> dict[str, int | str] | None:
        """The comment's style as the room takes it; None where it is the default, so that it costs no bytes."""
        style: dict[str, int | str] = {}
        if self.mode != "scroll":
            style["mode"] = self.mode
        if self.color != WHITE:
            style["color"] = self.color
        return style or None


class Skipped(Struct):
    """What a reader left out: reason -> [times, bytes]. Bytes are those of the decompressed file.

    `defaulted` counts values that were unreadable and could be replaced (a colour called `undefined` is white).
    """

    reasons: dict[str, list[int]] = {}
    defaulted: dict[str, int] = {}

    def add(self, reason: str, n_bytes: int) -> None:
        """Note one more."""
        entry = self.reasons.setdefault(reason, [0, 0])
        entry[0] += 1
        entry[1] += n_bytes

    @property
    def bytes(self) -> int:
        """All of them."""
        return sum(n for _, n in self.reasons.values())

    def sentence(self) -> str:
        """For people: `2 bytes skipped: control character 0x08 (1 byte), …`, or that nothing was."""
        parts = [f"{why}{f' ×{times}' if times > 1 else ''} ({_count(n)})" for why, (times, n) in sorted(self.reasons.items())]
        left_out = f"{_count(self.bytes)} skipped: {', '.join(parts)}" if parts else "no bytes skipped"
        if not self.defaulted:
            return left_out
        replaced = ", ".join(f"{name} ×{times}" for name, times in sorted(self.defaulted.items()))
        return f"{left_out}; unreadable values replaced by their default: {replaced}"


def read_danmaku(source: Path | IO[bytes], skipped: Skipped | None = None) -> Iterator[Danmaku]:
    """The comments of a danmaku XML file, plain or gzip, in the file's own order (which is rarely that of time).

    `skipped` is filled on the way and is complete when the iterator is exhausted. Raises OSError if the file cannot be
    read; nothing about its content is an error.
    """
    told = skipped if skipped is not None else Skipped()
    if isinstance(source, Path):
        with source.open("rb") as opened:
            yield from _comments(_texts(opened, told), told)
    else:
        yield from _comments(_texts(source, told), told)


def _texts(source: IO[bytes], skipped: Skipped) -> Iterator[tuple[str, str]]:
    """(encoding, cleaned text) piece by piece."""
    chunks = _chunks(source, skipped)
    first = next(chunks, b"")
    encoding = "utf-8"
    for bom, name in _BOMS:
        if first.startswith(bom):
            encoding, first = name, first[len(bom) :]
            break
    else:
        declared = _DECLARED.search(first[:400])
        encoding = (_known(declared[1].decode()) if declared else None) or encoding
    decode = codecs.getincrementaldecoder(encoding)(errors=_MARK).decode
    yield encoding, _clean(decode(first), skipped)
    for chunk in chunks:
        yield encoding, _clean(decode(chunk), skipped)
    yield encoding, _clean(decode(b"", final=True), skipped)


def _chunks(source: IO[bytes], skipped: Skipped) -> Iterator[bytes]:
    """The file's bytes, unpacked where they are compressed. The first piece is long enough to hold the XML declaration."""
    pieces = iter(lambda: source.read(_CHUNK_BYTES), b"")
    first = b""
    for piece in pieces:
        first += piece
        if len(first) >= 512:
            break
    whole = chain((first,), pieces)
    return _unpacked(whole, skipped) if first.startswith((b"\x1f\x8b", b"\x78\x9c", b"\x78\xda")) else whole


def _unpacked(pieces: Iterator[bytes], skipped: Skipped) -> Iterator[bytes]:
    """What gzip and zlib packed, in bounded pieces; what comes after the end of the compressed data is ignored."""
    unpack = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    try:
        for piece in pieces:
            yield unpack.decompress(piece, _UNPACKED_BYTES)
            while unpack.unconsumed_tail:
                yield unpack.decompress(unpack.unconsumed_tail, _UNPACKED_BYTES)
    except zlib.error:
        skipped.add("broken compressed data", 0)
        return
    if not unpack.eof:
        skipped.add("compressed data without its end", 0)


def _known(encoding: str) -> str | None:
    """The declared encoding if Python has it as a text encoding. Declared UTF-16 without a BOM is not to be believed."""
    try:
        info = codecs.lookup(encoding)
    except LookupError:
        return None
    return info.name if info._is_text_encoding and not info.name.startswith(("utf-16", "utf-32")) else None  # noqa: SLF001 - the only sign of it


def _mark(error: UnicodeError) -> tuple[str, int]:
    """One noncharacter per undecodable byte: counted, and taken out, by `_clean`."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return _BAD_BYTE * (error.end - error.start), error.end


_MARK: Final = "livecast.danmaku.mark"
codecs.register_error(_MARK, _mark)


def _clean(text: str, skipped: Skipped) -> str:
    """Without what no XML may contain."""
    if not _UNWANTED.search(text):
        return text
    for found in _UNWANTED.finditer(text):
        code = ord(found[0])
        if code < 0x80:
            skipped.add(f"control character 0x{code:02X}", 1)
        else:
            skipped.add("undecodable" if found[0] == _BAD_BYTE else f"noncharacter U+{code:04X}", 1)
    return _UNWANTED.sub("", text)


def _comments(texts: Iterator[tuple[str, str]], skipped: Skipped) -> Iterator[Danmaku]:
    """Scan for elements. Holds at most one element and one piece of text."""
    buffer, encoding = "", "utf-8"
    for encoding, piece in texts:
        buffer += piece
        at = 0
        while found := _element(buffer, at):
            start, end, attributes, content = found
            if broken := _OPENING.search(buffer, at, start):
                skipped.add("broken element", len(buffer[broken.start() : start].encode(encoding, "replace")))
            n_bytes = len(buffer[start:end].encode(encoding, "replace"))
            at = end
            if comment := _comment(attributes, content, n_bytes, skipped):
                yield comment
        buffer = _bounded(buffer[at:], encoding, skipped)
    if (cut := _OPENING.search(buffer)) is not None:
        skipped.add("cut off at the end", len(buffer[cut.start() :].encode(encoding, "replace")))


def _element(buffer: str, at: int) -> tuple[int, int, str, str] | None:
    """(start, end, attributes, content) of the first whole element from `at` on.

    An element without its end tag ends where the next one starts.
    """
    opened = _OPEN.search(buffer, at)
    if opened is None:
        return None
    if opened[1].endswith("/"):
        return opened.start(), opened.end(), opened[1], ""
    end = _END.search(buffer, opened.end())
    if end is None:
        return None
    until = end.end() if end[0].startswith("</") else end.start()
    return opened.start(), until, opened[1], buffer[opened.end() : end.start()]


def _bounded(buffer: str, encoding: str, skipped: Skipped) -> str:
    """What of an unfinished rest is worth keeping."""
    opening = _OPENING.search(buffer)
    if opening is None:
        return buffer[-2:]  # may be the first half of an opening
    start = opening.start()
    if len(buffer) - start <= ELEMENT_CHARS_MAX:
        return buffer[start:]
    skipped.add("element without an end", len(buffer[start:].encode(encoding, "replace")))
    return ""


def _comment(attributes: str, content: str, n_bytes: int, skipped: Skipped) -> Danmaku | None:
    """One element as a comment, or None and the reason noted. Only its time and its user cannot be done without."""
    found = _P.search(attributes)
    fields = (found[1] if found[1] is not None else found[2]).split(",") if found else []
    at_s = _number(fields[0]) if fields else None
    user = fields[6].strip() if len(fields) > 6 else ""
    if at_s is None or not user:
        skipped.add("unreadable attributes", n_bytes)
        return None

    def whole(index: int, name: str, default: int) -> int:
        value = _number(fields[index])
        if value is None:
            skipped.defaulted[name] = skipped.defaulted.get(name, 0) + 1
            return default
        return int(value)

    mode = whole(1, "mode", 1)
    if mode not in MODES:
        skipped.add(f"mode {mode} is not text" if 0 <= mode < 100 else "unknown mode", n_bytes)
        return None
    text = _text(content, skipped)
    if mode == 7:
        text = _positioned(text)
    if not text.strip():
        skipped.add("no text", n_bytes)
        return None
    return Danmaku(
        at_s=max(at_s, 0.0),
        mode=MODES[mode],
        size=whole(2, "size", 25),
        color=whole(3, "colour", WHITE) & WHITE,
        sent_ms=whole(4, "date", 0) * 1000,
        pool=whole(5, "pool", 0),
        user=user,
        row=fields[7].strip() if len(fields) > 7 else "",
        text=text,
    )


def _number(value: str) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _text(content: str, skipped: Skipped) -> str:
    """Entities resolved; what only looks like one stays as it is written. `<![CDATA[…]]>` is unwrapped."""
    stripped = content.strip()
    if stripped.startswith("<![CDATA[") and stripped.endswith("]]>"):
        return stripped[9:-3]
    if "&" not in content:
        return content

    def resolve(entity: re.Match[str]) -> str:
        if entity[3]:
            return _NAMED[entity[3]]
        code = int(entity[1], 16) if entity[1] else int(entity[2])
        usable = code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF and (code in {9, 10, 13} or code >= 32)
        if usable and not _UNWANTED.match(chr(code)):
            return chr(code)
        skipped.add("entity that stands for no character", len(entity[0]))
        return ""

    return _ENTITY.sub(resolve, content)


def _positioned(text: str) -> str:
    """The words of a positioned comment: `[x, y, opacity, seconds, text, …]`. Empty if it is none."""
    try:
        values = json.loads(text, strict=False)
        return str(values[4])
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""


def _count(n_bytes: int) -> str:
    return "1 byte" if n_bytes == 1 else f"{n_bytes:,} bytes"
