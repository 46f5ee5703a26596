"""Cold rows: calls that are old, in Parquet files of columns compressed by zstd, which are a fraction of their size.

A file counts when the table `cold_files` names it, and does so from the transaction on that deletes its rows from
`model_inferences`: whatever happens in between, a row is in exactly one place.  A file without an entry is rubbish of a
process that was killed, and is removed after a while.  Rows are in the order of their time, so that a reader who wants
some days looks into few row groups.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import JSON, Engine, Float, Integer, Text, and_, cast, delete, insert, or_, select
from sqlalchemy.sql import ColumnElement

from router.store import retention
from waypost.database.engine import WRITES
from waypost.database.tables import Moment, cold_files, model_inferences

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.compute import Expression

Row = dict[str, Any]

FILE_ROWS = 262_144
GROUP_ROWS = 16_384
"""Rows that are in memory at once."""
LEVEL = 12
"""Of zstd: higher ones take much longer for hardly less."""
PAGE_BYTES = 4 << 20
"""What is compressed together: decisions are much alike."""
RUBBISH_S = 3600.0
"""A file without an entry may just be being written."""

COLUMNS = tuple(f"{column.name}" for column in model_inferences.columns)
FEW_VALUES = ("tenant", "task", "method", "model", "version", "instance", "tier", "reason", "status", "cached")


class NoParquet(ImportError):
    """Raised where pyarrow is not installed."""

    def __init__(self) -> None:
        super().__init__("cold rows are Parquet files, which needs pyarrow: pip install 'waypost[parquet]'")


@dataclass(frozen=True)
class Moved:
    """What was compacted, and how large it was as lines of JSON."""

    rows: int = 0
    bytes: int = 0
    was_bytes: int = 0

    @property
    def share(self) -> float:
        """Of its size that is gone."""
        return 1 - self.bytes / self.was_bytes if self.was_bytes else 0.0

    def __add__(self, other: Moved) -> Moved:
        return Moved(self.rows + other.rows, self.bytes + other.bytes, self.was_bytes + other.was_bytes)


@dataclass(frozen=True)
class File:
    """A file of cold rows."""

    file: str
    first: datetime
    last: datetime
    rows: int
    bytes: int
    was_bytes: int


class Cold:
    """The cold rows of a database, in a folder."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self._engine = engine
        self._folder = folder

    def files(self) -> list[File]:
        """The oldest first."""
        with self._engine.connect() as connection:
            found = connection.execute(select(cold_files).order_by(cold_files.c.first))
            return [File(**row) for row in found.mappings()]

    def path(self, file: File) -> Path:
        """Where a file is."""
        return self._folder / file.file

    # ---- moving ----

    def compact(self, before: datetime) -> Moved:
        """Moves rows from before that moment into files.

        Raises:
            NoParquet: pyarrow is not installed.
            OSError: a file cannot be written.
        """
        moved = Moved()
        while some := self._compact_some(before):
            moved += some
        if moved.rows:
            retention.scrub(self._engine, {model_inferences})
        self._remove_rubbish()
        return moved

    def _compact_some(self, before: datetime) -> Moved | None:
        """One file; None: there is nothing (left) to move, or somebody else is doing it."""
        groups = self._groups(before)
        first = next(groups, None)
        if not first:
            return None
        with self._writing(_name(first[0]["time"])) as file:
            last = file.write(first)
            for group in groups:
                last = file.write(group)
        entry = File(file.path.name, first[0]["time"], last["time"], file.rows, file.size, file.was_bytes)
        if not self._exchange(entry, last["id"]):
            file.path.unlink()
            return None
        return Moved(entry.rows, entry.bytes, entry.was_bytes)

    def _groups(self, before: datetime) -> Iterator[list[Row]]:
        cold = raw_select().where(model_inferences.c.time < before).order_by(*ORDER).limit(FILE_ROWS)
        with self._engine.connect() as connection:
            found = connection.execution_options(yield_per=GROUP_ROWS).execute(cold)
            for part in found.partitions():
                yield [dict(zip(COLUMNS, row, strict=True)) for row in part]

    def _exchange(self, entry: File, last_id: str) -> bool:
        """Rows for the file that has them; not where others were written or removed among them meanwhile."""
        time_, id_ = ORDER
        rows = or_(time_ < entry.last, and_(time_ == entry.last, id_ <= last_id))
        with self._engine.execution_options(**WRITES).connect() as connection, connection.begin() as transaction:
            if connection.execute(delete(model_inferences).where(rows)).rowcount != entry.rows:
                transaction.rollback()
                return False
            connection.execute(insert(cold_files).values(vars(entry)))
        return True

    # ---- removing ----

    def expire(self, before: datetime) -> int:
        """Removes rows from before that moment; how many."""
        old = [file for file in self.files() if file.first < before]
        if not old:
            return 0
        gone = [file for file in old if file.last < before]
        for file in gone:
            self._replace(file, None)
        import pyarrow.compute as pc

        kept = pc.field("time") >= before
        return sum(file.rows for file in gone) + sum(self._rewrite(file, kept) for file in old if file not in gone)

    def forget(self, tenants: Iterable[str]) -> int:
        """Removes the rows of a tenant, under any of its names; how many."""
        files = self.files()
        if not files:
            return 0
        import pyarrow.compute as pc

        theirs = pc.field("tenant").isin(list(tenants))
        return sum(self._rewrite(file, ~theirs | pc.field("tenant").is_null()) for file in files)

    def _rewrite(self, file: File, kept: Expression) -> int:
        """Keeps some rows of a file; how many went."""
        left = self.dataset([file]).count_rows(filter=kept)
        if left == file.rows:
            return 0
        if not left:
            self._replace(file, None)
            return file.rows
        with self._writing(_name(file.first)) as new:
            for batch in self.dataset([file]).scanner(filter=kept).to_batches():
                if batch.num_rows:
                    new.write_batch(batch)
        share = left / file.rows
        entry = File(new.path.name, new.first, new.last, left, new.size, int(file.was_bytes * share))
        self._replace(file, entry)
        return file.rows - left

    def _replace(self, old: File, new: File | None) -> None:
        with self._engine.execution_options(**WRITES).begin() as connection:
            connection.execute(delete(cold_files).where(cold_files.c.file == old.file))
            if new:
                connection.execute(insert(cold_files).values(vars(new)))
        self.path(old).unlink(missing_ok=True)

    def _remove_rubbish(self) -> None:
        known = {file.file for file in self.files()}
        for path in self._folder.glob("calls-*"):
            if path.name not in known and path.stat().st_mtime < time.time() - RUBBISH_S:
                path.unlink(missing_ok=True)

    # ---- files ----

    def dataset(self, files: Sequence[File]) -> Any:
        """These files as one.

        Raises:
            NoParquet: pyarrow is not installed.
        """
        _pyarrow()
        import pyarrow.dataset as ds

        return ds.dataset([str(self.path(file)) for file in files], format="parquet", schema=schema())

    @contextmanager
    def _writing(self, name: str) -> Iterator[Writing]:
        """A file that is whole and on disk when the block ends, or is not there."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = Writing(self._folder / name)
        try:
            yield file
            file.close()
        except BaseException:
            file.path.unlink(missing_ok=True)
            raise


class Writing:
    """A Parquet file that is being written."""

    def __init__(self, path: Path) -> None:
        _pyarrow()
        import pyarrow.parquet as pq

        self.path = path
        self.rows = self.was_bytes = self.size = 0
        self.first = self.last = datetime.max
        self._file = path.open("xb")
        path.chmod(0o600)
        self._parquet = pq.ParquetWriter(
            self._file,
            schema(),
            compression="zstd",
            compression_level=LEVEL,
            use_dictionary=list(FEW_VALUES),
            data_page_size=PAGE_BYTES,
        )

    def write(self, rows: Sequence[Row]) -> Row:
        """A row group; returns its last row."""
        import pyarrow as pa

        self.was_bytes += sum(len(json_line(row)) for row in rows)
        self.write_batch(pa.RecordBatch.from_pylist(list(rows), schema=schema()))
        return rows[-1]

    def write_batch(self, batch: pa.RecordBatch) -> None:
        times = batch.column("time")
        self.first = self.first if self.rows else times[0].as_py()
        self.last = times[-1].as_py()
        self.rows += batch.num_rows
        self._parquet.write_batch(batch)

    def close(self) -> None:
        self._parquet.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self.size = self._file.tell()
        self._file.close()
        folder = os.open(self.path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


def _name(first: datetime) -> str:
    return f"calls-{first:%Y%m%dT%H%M%S}-{secrets.token_hex(4)}.parquet"


def _pyarrow() -> None:
    try:
        import pyarrow  # noqa: F401
    except ModuleNotFoundError:
        raise NoParquet from None


def schema() -> pa.Schema:
    """Of the files: the columns of the table, JSON as text."""
    import pyarrow as pa

    kinds = {Moment: pa.timestamp("us", "UTC"), Float: pa.float64(), Integer: pa.int64()}
    return pa.schema(
        (column.name, next((to for kind, to in kinds.items() if isinstance(column.type, kind)), pa.string()))
        for column in model_inferences.columns
    )


# ---- rows as they are ----

ORDER: tuple[ColumnElement[Any], ...] = (model_inferences.c.time, model_inferences.c.id)


def raw_select(columns: Iterable[str] = COLUMNS, table: Any = model_inferences) -> Any:
    """Selects columns; JSON as the text that it is, since it goes on as such."""
    wanted = (table.c[name] for name in columns)
    return select(*(cast(each, Text).label(each.name) if isinstance(each.type, JSON) else each for each in wanted))


def json_line(row: Row) -> bytes:
    """A row as a line of JSON, with what is JSON in it as it is, and without what is not known."""
    known = {key: _fragment(key, value) for key, value in row.items() if value is not None}
    return orjson.dumps(known, option=orjson.OPT_APPEND_NEWLINE)


def _fragment(key: str, value: Any) -> Any:
    return orjson.Fragment(value) if key in JSON_COLUMNS else value


JSON_COLUMNS = frozenset(
    column.name
    for table in model_inferences.metadata.tables.values()
    for column in table.columns
    if isinstance(column.type, JSON)
)
