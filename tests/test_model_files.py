"""A model file is data: whatever is in it, it is read or refused in one line, and nothing else happens."""

from __future__ import annotations

import copy
import gzip
import io
import json
import pickle
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

import consentclf
from consentclf import ModelError
from consentclf.model import MAX_FILE_BYTES, Model, _digest, from_bytes
from consentclf.training import fit


@pytest.fixture(scope="module")
def data(trained: fit.Result) -> bytes:
    return trained.model.to_bytes()


def take_apart(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Header and arrays of a model file."""
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def put_together(header: dict[str, Any], body: bytes, *, sign: bool = True) -> bytes:
    """A file of such a header, by default with the right digest: what someone who means harm would write."""
    if sign:
        header["__metadata__"]["digest"] = _digest(header["__metadata__"]["card"], body)
    head = json.dumps(header, ensure_ascii=False, sort_keys=True).encode()
    head += b" " * (-len(head) % 8)
    return len(head).to_bytes(8, "little") + head + body


def refusal(data: bytes) -> str:
    """The line with which the bytes are refused; reading them may take little more memory than they do."""
    tracemalloc.start()
    try:
        with pytest.raises(ModelError) as caught:
            from_bytes(data)
        assert tracemalloc.get_traced_memory()[1] < 2 * len(data) + 4_000_000
    finally:
        tracemalloc.stop()
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 200
    return message


def test_a_model_survives_its_file(trained: fit.Result, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    trained.model.save(path)
    again = consentclf.load(path).model
    assert again.to_bytes() == path.read_bytes() == trained.model.to_bytes()
    for name, array in trained.model.arrays().items():
        np.testing.assert_array_equal(again.arrays()[name], array)
        assert not again.arrays()[name].flags.writeable


def test_the_safetensors_library_reads_the_file(data: bytes, trained: fit.Result) -> None:
    found = safetensors.numpy.load(data)
    assert set(found) == set(trained.model.arrays())
    for name, array in trained.model.arrays().items():
        np.testing.assert_array_equal(found[name], array)


def test_the_shipped_file_is_as_it_was_written() -> None:
    model = consentclf.load().model
    assert model.to_bytes() == Path(str(consentclf.load().path)).read_bytes()


def _zip_bomb() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model", b"\0" * 50_000_000)
    return out.getvalue()


def _npz() -> bytes:
    out = io.BytesIO()
    np.savez(out, table=np.zeros(4))
    return out.getvalue()


class _Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return pytest.fail, ("a pickle was executed",)


@pytest.mark.parametrize(
    "make",
    [
        lambda: b"",
        lambda: b"\0" * 7,
        lambda: b"\0" * 100,
        lambda: b"{}",
        lambda: b"just some text, longer than eight bytes\n" * 10,
        lambda: bytes(range(256)) * 8,
        lambda: pickle.dumps(_Bomb()),
        _npz,
        _zip_bomb,
        lambda: gzip.compress(b"\0" * 10_000_000),
        lambda: (2**63).to_bytes(8, "little") + b"{}" * 50,
        lambda: (100).to_bytes(8, "little") + b"[" * 100,
        lambda: (900_000).to_bytes(8, "little") + b'{"a":' + b"[" * 900_000,
        lambda: (2).to_bytes(8, "little") + b"{}",
        lambda: (5000).to_bytes(8, "little") + b'{"a":' + b"9" * 4994 + b"}",
        lambda: safetensors.numpy.save({"table": np.zeros((4, 4))}),
        lambda: safetensors.numpy.save({"table": np.zeros((4, 4))}, {"format": "pt"}),
    ],
)
def test_foreign_files_are_refused(make: Callable[[], bytes]) -> None:
    assert refusal(make()).startswith("not a consentclf model file")


def test_another_format_number_is_refused_with_the_remedy(data: bytes) -> None:
    header, body = take_apart(data)
    header["__metadata__"]["format_number"] = "2"
    assert "model format '2', this consentclf reads 1; install the matching" in refusal(
        put_together(header, body)
    )


@pytest.mark.parametrize("keep", [0.0, 0.001, 0.3, 0.9, 0.99999])
def test_truncated_files_are_refused(data: bytes, keep: float) -> None:
    refusal(data[: int(len(data) * keep)])


def test_bytes_after_the_end_are_refused(data: bytes) -> None:
    refusal(data + b"\0" * 16)


def test_any_changed_byte_of_the_header_is_refused(data: bytes) -> None:
    end = 8 + int.from_bytes(data[:8], "little")
    for i in range(end):
        for other in (9, 32) if data[i : i + 1].isspace() else (data[i] ^ 1,):
            if other == data[i]:
                continue
            with pytest.raises(ModelError):
                from_bytes(data[:i] + bytes([other]) + data[i + 1 :])


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_flipped_bit_of_the_arrays_is_refused(data: bytes, chosen: st.DataObject) -> None:
    at = chosen.draw(st.integers(8 + int.from_bytes(data[:8], "little"), len(data) - 1))
    bit = 1 << chosen.draw(st.integers(0, 7))
    with pytest.raises(ModelError, match="digest"):
        from_bytes(data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :])


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_random_bytes_are_refused(junk: bytes) -> None:
    with pytest.raises(ModelError):
        from_bytes(junk)


def _drop(name: str) -> Callable[[dict[str, Any]], None]:
    return lambda header: header.pop(name)


def _set(name: str, **values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda header: header.setdefault(name, {}).update(values)


@pytest.mark.parametrize(
    "change",
    [
        _drop("table"),
        _drop("context0_bias"),
        _set("extra", dtype="F32", shape=[1], data_offsets=[0, 4]),
        _set("../../etc/passwd", dtype="F32", shape=[1], data_offsets=[0, 4]),
        _set("/tmp/x\0y", dtype="F32", shape=[1], data_offsets=[0, 4]),  # noqa: S108 - a name in a file
        _set("table", dtype="O"),
        _set("table", dtype="F64"),
        _set("table", dtype=["U8"]),
        _set("table", shape=[4, 1 << 12]),
        _set("table", shape=[1 << 60, 4]),
        _set("table", shape=[-1, 4]),
        _set("table", shape=[4096.0, 4]),
        _set("table", shape="4096,4"),
        _set("table", data_offsets=[0, 1 << 62]),
        _set("table", data_offsets=[-8, 16376]),
        _set("table", data_offsets=[16384, 0]),
        _set("table", data_offsets=[0.0, 16384.0]),
        _set("table", data_offsets=[True, 16385]),
        _set("table", data_offsets=None),
        _set("table", strange=1),
        _set("bias", data_offsets=[0, 16]),
        lambda header: header.update(table="U8"),
        lambda header: header.update(table=[1, 2]),
    ],
)  # fmt: skip
def test_wrong_arrays_are_refused_though_the_digest_is_right(
    data: bytes, change: Callable[[dict[str, Any]], Any]
) -> None:
    header, body = take_apart(data)
    change(header)
    assert refusal(put_together(header, body)).startswith("damaged: ")


def both(scale: float, size: int) -> dict[str, Any]:
    """A calibration of both stages."""
    return {stage: {"scale": scale, "bias": [0] * size} for stage in ("page", "paragraph")}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("name", ["bias", "scales", "dense_weights", "context0_weights", "context1_bias"])
def test_values_that_are_not_finite_are_refused(data: bytes, name: str, value: float) -> None:
    header, body = take_apart(data)
    begin = header[name]["data_offsets"][0]
    body = body[:begin] + np.float32(value).tobytes() + body[begin + 4 :]
    assert refusal(put_together(header, body)) == (
        f"damaged: array {name!r} has values that are not finite; train the model again"
    )


def test_a_folding_table_of_unknown_kinds_is_refused(data: bytes) -> None:
    header, body = take_apart(data)
    begin = header["alphabet"]["data_offsets"][0]
    body = body[:begin] + b"\xff" * 4 + body[begin + 4 :]
    assert "alphabet" in refusal(put_together(header, body))


@pytest.mark.parametrize(
    "change",
    [
        {"bits": 30}, {"bits": 12.0}, {"bits": True}, {"bits": "12"}, {"bits": None}, {"bits": -1},
        {"families": ["char9"]}, {"families": []}, {"families": None}, {"families": [["char2"]]},
        {"families": "word1"}, {"passes": 0}, {"passes": 10**9}, {"passes": True}, {"passes": "2"},
        {"labels": ["a", "b"]}, {"labels": None}, {"thresholds": None}, {"thresholds": {"balanced": []}},
        {"thresholds": {"balanced": {"article": "x"}}}, {"thresholds": {"balanced": {"menu": 0.5}}},
        {"thresholds": {"balanced": {"article": float("nan")}}}, {"thresholds": {"balanced": {"article": 7}}},
        {"calibration": {}}, {"calibration": {"page": {"scale": 1, "bias": [0] * 4}}},
        {"calibration": both(0, 4)},
        {"calibration": both(1, 3)},
        {"calibration": both(float("inf"), 4)},
    ],
)  # fmt: skip
def test_cards_that_make_no_sense_are_refused(data: bytes, change: dict[str, Any]) -> None:
    header, body = take_apart(data)
    card = {**json.loads(header["__metadata__"]["card"]), **change}
    header["__metadata__"]["card"] = json.dumps(card, ensure_ascii=False, sort_keys=True)
    assert refusal(put_together(header, body)).startswith("damaged: ")


@pytest.mark.parametrize("card", ["", "[]", "3", "null", "{}", "[" * 100_000, '{"bits": ' + "9" * 5000 + "}"])
def test_cards_that_are_no_object_are_refused(data: bytes, card: str) -> None:
    header, body = take_apart(data)
    header["__metadata__"]["card"] = card
    assert refusal(put_together(header, body)).startswith("damaged: ")


@pytest.mark.parametrize("metadata", [None, [], "x", {}, {"format": "consentclf"}])
def test_metadata_of_another_shape_is_refused(data: bytes, metadata: Any) -> None:
    header, body = take_apart(data)
    header["__metadata__"] = metadata
    assert refusal(put_together(header, body, sign=False)).startswith("not a consentclf model file")


def test_a_card_that_is_not_text_is_refused(data: bytes) -> None:
    header, body = take_apart(data)
    header["__metadata__"]["card"] = {"bits": 12}
    assert refusal(put_together(header, body, sign=False)).startswith("damaged: ")


def test_a_file_too_large_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "huge.safetensors"
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES * 1000)  # sparse: takes no room
    tracemalloc.start()
    with pytest.raises(ModelError, match="is no consentclf model"):
        consentclf.load(path)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_the_message_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "other.bin"
    path.write_bytes(b"something else")
    with pytest.raises(ModelError, match=r"other\.bin: not a consentclf model file; train one with"):
        consentclf.load(path)


def test_saving_replaces_the_file_whole_or_not_at_all(
    trained: fit.Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(b"old")

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        trained.model.save(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_model_cannot_be_changed_by_its_card(trained: fit.Result) -> None:
    before = trained.model.to_bytes()
    model = from_bytes(before)
    assert isinstance(model, Model)
    assert copy.deepcopy(model.card) == model.card
    assert model.to_bytes() == before
