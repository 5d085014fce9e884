"""Parquet for ``consentclf filter``: a chunk is at most two thousand rows of one row group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..classifier import Paragraph
from ..errors import DataError
from ..files import replacing
from ..labels import LABELS
from . import need
from .records import Chunk, Options, Record, Reject, annotation

CHUNK_ROWS = 2000
#: Rows of one row group of the output, at least, unless the file ends.
GROUP_ROWS = 20_000


class Parquet:
    """One Parquet file with a column of text."""

    def __init__(self, path: Path, options: Options) -> None:
        self.path, self.options = path, options
        self.size = path.stat().st_size
        self._arrow = need("pyarrow", "pyarrow", "Parquet files", "parquet")
        self._parquet = need("pyarrow.parquet", "pyarrow", "Parquet files", "parquet")
        try:
            self._file = self._parquet.ParquetFile(path)
        except (self._arrow.ArrowException, OSError) as error:
            raise DataError(f"{path}: not a readable Parquet file ({_line(error)})") from None
        self.schema = self._file.schema_arrow
        name = options.field
        if name not in self.schema.names:
            self._file.close()
            raise DataError(
                f"{path}: no column {name!r} (there are {', '.join(self.schema.names)}); name it with --field"
            )
        kind = self.schema.field(name).type
        types = self._arrow.types
        if not (types.is_string(kind) or types.is_large_string(kind) or str(kind) == "string_view"):
            self._file.close()
            raise DataError(f"{path}: column {name!r} holds {kind}; --field must name a column of strings")
        meta = self._file.metadata
        #: (row group, first row in it, rows) of every chunk.
        self.chunks: list[tuple[int, int, int]] = []
        for group in range(meta.num_row_groups):
            rows = meta.row_group(group).num_rows
            self.chunks += [(group, at, min(CHUNK_ROWS, rows - at)) for at in range(0, rows, CHUNK_ROWS)]
        self.rows = meta.num_rows
        self._at = (-1, 0)  # row group and row that _batches stands at
        self._batches: Iterator[Any] = iter(())
        self._rest: Any = None

    def chunks_at_least(self) -> int:
        """Exactly how many chunks there are."""
        return max(1, len(self.chunks))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def chunk(self, number: int) -> Chunk | None:
        """Some rows."""
        last = number >= len(self.chunks) - 1
        if number >= len(self.chunks):
            return None if number else Chunk(iter(()), last=True, position=self.size)
        before = sum(rows for _, _, rows in self.chunks[:number])
        done = before + self.chunks[number][2]
        return Chunk(self._records(number, before), last, self.size * done // max(1, self.rows))

    def _records(self, number: int, before: int) -> Iterator[Record | Reject]:
        group, at, rows = self.chunks[number]
        try:
            table = self._read(group, at, rows)
        except (self._arrow.ArrowException, OSError) as error:
            self._at = (-1, 0)
            yield Reject({"row": before, "rows": rows}, f"these rows cannot be read ({_line(error)})")
            return
        for i, text in enumerate(table.column(self.options.field)):
            place = {"row": before + i}
            try:
                value = text.as_py()
            except UnicodeDecodeError as error:
                yield Reject(place, f"not UTF-8 at byte {error.start} of the text")
                continue
            if value is None:
                yield Reject(place, f'"{self.options.field}" is null')
            else:
                yield Record(place, value, table.slice(i, 1))

    def _read(self, group: int, at: int, rows: int) -> Any:
        """Rows of a row group as a table; going forward, nothing is read twice."""
        if self._at[0] != group or self._at[1] > at:
            self._batches = self._file.iter_batches(CHUNK_ROWS, row_groups=[group])
            self._at, self._rest = (group, 0), None
        pieces = []
        position = self._at[1]
        while position < at + rows:
            batch = self._rest if self._rest is not None else next(self._batches)
            end = position + batch.num_rows
            if end > at:
                piece = batch.slice(max(0, at - position), min(end, at + rows) - max(at, position))
                pieces.append(piece)
            self._rest = batch.slice(at + rows - position) if end > at + rows else None
            position = min(end, at + rows)
        self._at = (group, position)
        return self._arrow.Table.from_batches(pieces)

    def write(self, records: Sequence[tuple[Record, str, list[Paragraph]]], folder: Path) -> None:
        """Write a Parquet file with these rows; :func:`join` puts them together."""
        pa, name = self._arrow, self.options.field
        schema = self._output_schema()
        if records:
            table = pa.concat_tables([record.body for record, _, _ in records])
        else:
            table = self.schema.empty_table()
        if self.options.annotate:
            labels = pa.array([annotation(p) for _, _, p in records], _label_type(pa))
            if "consentclf" in table.schema.names:
                table = table.drop_columns(["consentclf"])
            table = table.append_column("consentclf", labels)
        else:
            kind = self.schema.field(name).type
            texts = pa.array([_valid(text) for _, text, _ in records], kind)
            table = table.set_column(self.schema.names.index(name), self.schema.field(name), texts)
        table = table.replace_schema_metadata(schema.metadata).cast(schema)
        self._parquet.write_table(table, folder / "part", compression=self._compression())

    def _compression(self) -> str:
        meta = self._file.metadata
        if not meta.num_row_groups or not meta.num_columns:
            return "snappy"
        name = str(meta.row_group(0).column(0).compression).lower()
        return "none" if name == "uncompressed" else name

    def _output_schema(self) -> Any:
        if not self.options.annotate:
            return self.schema
        pa = self._arrow
        fields = [field for field in self.schema if field.name != "consentclf"]
        # What other programs noted of the columns would not be true of one column more.
        return pa.schema([*fields, pa.field("consentclf", _label_type(pa))])

    def join(self, parts: Sequence[Path], target: Path) -> None:
        """Put the parts together to the output file."""
        with replacing(target) as out:
            writer = self._parquet.ParquetWriter(out, self._output_schema(), compression=self._compression())
            with writer:
                held: list[Any] = []
                for part in parts:
                    held.append(self._parquet.read_table(part, partitioning=None, use_threads=False))
                    if sum(table.num_rows for table in held) >= GROUP_ROWS:
                        self._flush(writer, held)
                self._flush(writer, held)

    def _flush(self, writer: Any, held: list[Any]) -> None:
        table = self._arrow.concat_tables(held) if held else None
        held.clear()
        if table is not None and table.num_rows:
            writer.write_table(table)


def _label_type(pa: Any) -> Any:
    scores = pa.struct([(label, pa.float32()) for label in LABELS])
    return pa.list_(
        pa.struct(
            [
                ("start", pa.int64()),
                ("end", pa.int64()),
                ("label", pa.string()),
                ("score", pa.float32()),
                ("scores", scores),
            ]
        )
    )


def _valid(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
