"""The danmaku reader: everything usable out of files as they are found, and an honest count of the rest."""

from __future__ import annotations

import codecs
import gzip
import io
import os
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecast.ops.danmaku_xml import ELEMENT_CHARS_MAX, Danmaku, Skipped, read_danmaku

HEAD = '<?xml version="1.0" encoding="UTF-8"?><i><chatid>7</chatid>'
P = "1.5,1,25,16777215,1480410348,0,e6d2b8ad,42"


def d(text: str, p: str = P) -> str:
    """One element."""
    return f'<d p="{p}">{text}</d>'


def read(data: str | bytes) -> tuple[list[Danmaku], Skipped]:
    """All comments of a file, and what was left out."""
    skipped = Skipped()
    raw = data.encode() if isinstance(data, str) else data
    return list(read_danmaku(io.BytesIO(raw), skipped)), skipped


def texts(data: str | bytes) -> list[str]:
    """Only the words."""
    return [comment.text for comment in read(data)[0]]


def test_a_comment_has_all_its_fields() -> None:
    """Every field of `p` arrives, with its unit."""
    (comment,), skipped = read(HEAD + d("前方高能", "12.25,4,36,26214,1480410348,11,e6d2b8ad,2704552969") + "</i>")
    assert comment == Danmaku(12.25, "bottom", 36, 26214, 1480410348000, 11, "e6d2b8ad", "2704552969", "前方高能")
    assert comment.style == {"mode": "bottom", "color": 26214}
    assert skipped.bytes == 0
    assert skipped.sentence() == "no bytes skipped"


@pytest.mark.parametrize(
    ("mode", "style"), [(1, None), (2, None), (3, None), (4, {"mode": "bottom"}), (5, {"mode": "top"}), (6, None)]
)
def test_modes_become_styles(mode: int, style: dict[str, str] | None) -> None:
    """1 scrolls, 4 stands at the bottom, 5 at the top; a white scrolling comment needs no style."""
    (comment,), _ = read(d("x", f"0,{mode},25,16777215,0,0,u,1"))
    assert comment.style == style


def test_positioned_comments_give_their_words_and_code_is_skipped() -> None:
    """Mode 7 hides its text in JSON; mode 8 is a program and no text."""
    body = d('["0.1","0.2","1-1",4.5,"在这里"]', "0,7,25,1,0,0,u,1") + d("$.createShape()", "0,8,25,1,0,0,u,1")
    comments, skipped = read(body)
    assert [comment.text for comment in comments] == ["在这里"]
    assert skipped.reasons == {"mode 8 is not text": [1, len(d("$.createShape()", "0,8,25,1,0,0,u,1"))]}


def test_control_characters_are_taken_out_and_counted() -> None:
    """A stray 0x08 or 0x1D costs its own byte, not the comment."""
    comments, skipped = read(HEAD + d("一个\x08人") + d("60\x1d1") + d("a\x08b"))
    assert [comment.text for comment in comments] == ["一个人", "601", "ab"]
    assert skipped.reasons == {"control character 0x08": [2, 2], "control character 0x1D": [1, 1]}
    assert skipped.sentence() == "3 bytes skipped: control character 0x08 ×2 (2 bytes), control character 0x1D (1 byte)"


def test_entities_good_and_bad() -> None:
    """The five and the numeric ones are resolved; what only looks like one stays as written; those of no character go."""
    comments, skipped = read(d("a &amp; b &lt;3 &#x597d;&#30475; R&D &nbsp; &#8;&#xD800;&"))
    assert comments[0].text == "a & b <3 好看 R&D &nbsp; &"
    assert skipped.reasons == {"entity that stands for no character": [2, len("&#8;") + len("&#xD800;")]}


def test_cdata_and_bare_angle_brackets() -> None:
    """Text that nobody escaped is text."""
    assert texts(d("<![CDATA[a < b & c]]>") + d("1 < 2 > 0 <3")) == ["a < b & c", "1 < 2 > 0 <3"]


def test_a_missing_end_tag_costs_nothing_and_a_cut_tail_is_reported() -> None:
    """Where the next comment begins the last one ended; at the end of the file it may be half a word."""
    tail = '<d p="' + P + '">half a wor'
    comments, skipped = read(HEAD + f'<d p="{P}">one' + d("two") + tail)
    assert [comment.text for comment in comments] == ["one", "two"]
    assert skipped.reasons == {"cut off at the end": [1, len(tail)]}


def test_unreadable_values_fall_back_and_useless_elements_are_skipped() -> None:
    """A colour called `undefined` is white; without a time or a user there is no comment."""
    bad = d("no user", "1,1,25,1") + d("no time", "x,1,25,1,0,0,u,1") + '<d q="1">?</d>' + d("nan", "nan,1,25,1,0,0,u,1") + d("  ")
    comments, skipped = read(d("kept", "2,1,25,undefined,0,0,u,1") + bad)
    assert [(comment.text, comment.color) for comment in comments] == [("kept", 0xFFFFFF)]
    assert skipped.defaulted == {"colour": 1}
    assert {why: times for why, (times, _) in skipped.reasons.items()} == {"unreadable attributes": 4, "no text": 1}
    assert skipped.bytes == len(bad)
    assert skipped.sentence().endswith("; unreadable values replaced by their default: colour ×1")


def test_broken_elements_between_good_ones() -> None:
    """An element whose start tag is broken is counted as a whole and disturbs nobody."""
    comments, skipped = read(d("a") + '<d p="1,1<,25">x</d>' + d("b") + '<d p="1" />' + d("c"))
    assert [comment.text for comment in comments] == ["a", "b", "c"]
    assert skipped.reasons == {"broken element": [1, 20], "unreadable attributes": [1, 11]}


def test_attributes_in_other_quotes_and_company() -> None:
    """Single quotes, other attributes and spaces do not matter."""
    assert texts(f"<d user='x'  p = '{P}' >a</d ><d\n p=\"{P}\" v=\"2\">b</d>") == ["a", "b"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_byte_order_marks_name_the_encoding(encoding: str) -> None:
    """What a BOM says wins over what the file declares."""
    assert texts((HEAD + d("弹幕")).encode(encoding)) == ["弹幕"]
    assert texts(codecs.BOM_UTF16_BE + (HEAD + d("弹幕")).encode("utf-16-be")) == ["弹幕"]


def test_declared_encodings() -> None:
    """A declared encoding is used if there is such a thing; otherwise UTF-8."""
    gbk = '<?xml version="1.0" encoding="GB18030"?>' + d("前方高能")
    assert texts(gbk.encode("gb18030")) == ["前方高能"]
    assert texts('<?xml version="1.0" encoding="martian-8"?>' + d("前方高能")) == ["前方高能"]
    assert texts('<?xml version="1.0" encoding="hex"?>' + d("前方高能")) == ["前方高能"]


def test_undecodable_bytes_are_counted() -> None:
    """A byte that is no UTF-8 goes; the text around it stays."""
    comments, skipped = read(d("a?b").encode().replace(b"?", b"\xff\xfe"))
    assert comments[0].text == "ab"
    assert skipped.reasons == {"undecodable": [2, 2]}


def test_gzip_is_unpacked_and_a_broken_one_gives_what_it_has() -> None:
    """Compressed files are recognised by their first bytes; a cut one yields the comments before the cut."""
    plain = (HEAD + "".join(d(f"第{k}句") for k in range(2000))).encode()
    packed = gzip.compress(plain)
    assert len(texts(packed)) == len(texts(zlib.compress(plain))) == 2000
    comments, skipped = read(packed[: len(packed) * 2 // 3])
    assert 0 < len(comments) < 2000
    assert "compressed data without its end" in skipped.reasons
    comments, skipped = read(packed[:-8] + bytes(8))
    assert len(comments) > 1800
    assert "broken compressed data" in skipped.reasons


def test_what_is_held_is_bounded() -> None:
    """A file that opens an element and never ends it is not kept in memory."""
    comments, skipped = read('<d p="' + P + '">' + "x" * (5 * ELEMENT_CHARS_MAX) + d("after"))
    assert [comment.text for comment in comments] == ["after"]
    assert skipped.bytes > 0
    assert "element without an end" in skipped.reasons


def test_large_files_stream() -> None:
    """The first comment comes before the file is read to its end."""

    class Counting(io.BytesIO):
        taken = 0

        def read(self, size: int | None = -1, /) -> bytes:
            data = super().read(size)
            self.taken += len(data)
            return data

    source = Counting((HEAD + d("弹幕" * 20) * 20_000).encode())
    comments = read_danmaku(source)
    assert next(comments).text == "弹幕" * 20
    assert source.taken <= 2 * 65_536
    assert sum(1 for _ in comments) == 19_999


@given(st.binary(max_size=400))
def test_nothing_in_a_file_is_an_error(junk: bytes) -> None:
    """Whatever the bytes, a good comment after them is found, unless they swallow it as their own text."""
    comments, _ = read(b"\n" + junk + b"</d>" + d("good").encode() + b"</i>")
    assert comments == [] or isinstance(comments[-1].text, str)


@given(
    st.lists(st.text(st.characters(blacklist_categories=["Cs", "Cc", "Cn"]), min_size=1, max_size=30), max_size=20),
    st.integers(1, 70),
)
def test_texts_survive_being_written_and_read(words: list[str], step: int) -> None:
    """Escaped text comes back as it was, wherever the pieces of the file end."""
    escaped = [word.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") for word in words]

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(step, size if size is not None and size > 0 else step))

    comments = list(read_danmaku(Slow((HEAD + "".join(map(d, escaped)) + "</i>").encode())))
    assert [comment.text for comment in comments] == [word for word in words if word.strip()]


RECORDED = os.environ.get("LIVECAST_DANMAKU_DIR", "")


@pytest.mark.skipif(not RECORDED, reason="LIVECAST_DANMAKU_DIR names no directory with recorded danmaku files")
def test_recorded_files_read_whole() -> None:
    """Of real recordings every `<d` element comes back as a comment."""
    files = sorted(Path(RECORDED).glob("*.xml"))
    assert files
    for path in files:
        skipped = Skipped()
        comments = list(read_danmaku(path, skipped))
        assert len(comments) == path.read_bytes().count(b"<d p=")
        assert skipped.bytes < 100
