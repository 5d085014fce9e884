"""Reading text of any encoding; writing files whole or not at all."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentclf import DataError
from consentclf.files import TextReader, check_encoding, check_writable, replacing, write_atomic

TEXT = "Café, naïve: «ẞ» 漢字 \U0001f600\r\nzweite Zeile\rdritte\n"


def read_all(reader: TextReader, size: int = 7) -> str:
    return "".join(iter(lambda: reader.read(size), ""))


def reader(data: bytes, encoding: str = "utf-8", strict: bool = False) -> TextReader:
    return TextReader(io.BytesIO(data), "x", encoding, strict)


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", ""), ("utf-8", "\ufeff"), ("utf-16-le", "\ufeff"), ("utf-16-be", "\ufeff"),
        ("utf-32-le", "\ufeff"), ("utf-32-be", "\ufeff"),
    ],
)  # fmt: skip
def test_a_byte_order_mark_is_honoured_and_is_not_text(encoding: str, mark: str) -> None:
    found = reader((mark + TEXT).encode(encoding))
    assert read_all(found) == TEXT
    assert found.first_error is None
    assert found.complaint() == ""


@pytest.mark.parametrize(
    "encoding", ["latin-1", "cp1252", "utf-16", "utf-16-le", "shift_jis", "gb18030", "utf-7"]
)
def test_a_named_encoding_is_used(encoding: str) -> None:
    text = "Zeile eins\r\nund zwei"
    assert read_all(reader(text.encode(encoding), encoding)) == text
    assert (
        read_all(reader(b"\xff\xfe" + text.encode("utf-16-le"), encoding)) == text
    )  # its mark says otherwise


@pytest.mark.parametrize("data", [b"", b"\xef\xbb\xbf", b"\xff\xfe"])
def test_an_empty_file_is_an_empty_text(data: bytes) -> None:
    assert read_all(reader(data)) == ""


@pytest.mark.parametrize(
    ("data", "encoding", "offset"),
    [
        (b"abc\xffdef\xfe", "utf-8", 3),
        (b"\xef\xbb\xbfabc\xff", "utf-8", 6),
        (b"a" * 70_000 + b"\xe9t\xe9", "utf-8", 70_000),
        (b"a" * 65_535 + b"\xe2\x82", "utf-8", 65_535),
        (b"a\xed\xa0\x80", "utf-8", 1),
        (b"a\x00b\x00\x00", "utf-16", 4),
        (b"a\x00\x00\xdcb\x00", "utf-16", 2),
        (b"a" * 65_535 + b"\x81\xff", "shift_jis", 65_535),
        (b"ab\x81", "cp1252", 2),
    ],
)
def test_bytes_that_do_not_decode_are_placed_and_replaced(data: bytes, encoding: str, offset: int) -> None:
    found = reader(data, encoding)
    text = read_all(found, 1 << 20)
    assert "\ufffd" in text
    assert found.first_error is not None
    assert found.first_error[0] == offset
    assert f"x: byte {offset} is not " in found.complaint()
    strict = reader(data, encoding, strict=True)
    with pytest.raises(DataError, match=f"x: byte {offset} is not .*; name the right --encoding"):
        read_all(strict)


@given(st.binary(max_size=200), st.sampled_from(["utf-8", "utf-16-le", "cp1252", "shift_jis", "gb18030"]))
def test_any_bytes_read_as_python_replaces_them(data: bytes, encoding: str) -> None:
    for mark in (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff"):
        if data.startswith(mark):
            return
    assert read_all(reader(data, encoding), 3) == data.decode(encoding, "replace")


@pytest.mark.parametrize("name", ["klingon", "base64", "rot13", "zlib", "", "utf-8\0", "../utf8"])
def test_an_unknown_encoding_is_refused_with_examples(name: str) -> None:
    with pytest.raises(DataError, match=r"unknown encoding .* such as utf-8, utf-16, latin-1"):
        check_encoding(name)


def test_a_file_that_fails_while_it_is_read_is_named() -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(DataError, match=r"x: cannot be read \(Input/output error\); check the file"):
        TextReader(Broken(), "x").read(10)


def test_writing_leaves_the_whole_new_file(tmp_path: Path) -> None:
    path = tmp_path / "f"
    write_atomic(path, b"one")
    assert path.read_bytes() == b"one"
    write_atomic(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_while_writing_leaves_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"old")
    with pytest.raises(error), replacing(path) as file:  # noqa: PT012 - the error comes after some bytes
        file.write(b"half")
        raise error
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name == "nt", reason="permissions are those of POSIX")
def test_permissions_and_links_stay_as_they_are(tmp_path: Path) -> None:
    path, link = tmp_path / "f", tmp_path / "link"
    path.write_bytes(b"old")
    path.chmod(0o640)
    link.symlink_to(path)
    write_atomic(link, b"new")
    assert link.is_symlink()
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    fresh = tmp_path / "fresh"
    before = os.umask(0o027)
    try:
        write_atomic(fresh, b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE(fresh.stat().st_mode) == 0o640


def test_an_unusable_place_is_told_beforehand_and_left_clean(tmp_path: Path) -> None:
    check_writable(tmp_path / "new")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(IsADirectoryError):
        check_writable(tmp_path)
    with pytest.raises(FileNotFoundError) as caught:
        check_writable(tmp_path / "absent" / "new")
    assert caught.value.filename == str(tmp_path / "absent" / "new")


def test_a_long_name_in_any_script_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("漢" * 80)
    write_atomic(path, b"x")
    assert path.read_bytes() == b"x"
