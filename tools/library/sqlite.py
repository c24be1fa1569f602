"""Questions to an SQLite database, which cannot be changed by them.

Four things hold, each on its own: the file is opened with ``mode=ro``; ``PRAGMA query_only`` is on; an authorizer lets SQLite
compile statements that only read (no ATTACH, no PRAGMA, no extension, no transaction); and a progress handler ends what takes
too long. See https://www.sqlite.org/uri.html and https://www.sqlite.org/c3ref/set_authorizer.html.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

from ..errors import RetryCall, ToolDefinitionError, ToolFailed, one_line
from ..tool import shown, tool
from ..toolset import Toolset
from .limits import Limits
from .narrowing import narrowed

Comparison = Literal["is", "is not", "contains", "more than", "at least", "less than", "at most"]
_Limit = Annotated[int, Limits(ge=1, le=10_000)]
Function = Literal["average", "total", "minimum", "maximum"]
_OPERATORS = {"more than": ">", "at least": ">=", "less than": "<", "at most": "<="}
_FUNCTIONS = {"total": "sum", "average": "avg", "minimum": "min", "maximum": "max"}
_READS = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE}
_NEVER = {"load_extension", "fts3_tokenizer"}
_STEPS = 2000  # instructions of SQLite's machine between two looks at the clock
_MOST_TEXT = 2000
_LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: 4 << 20,  # bytes of one value or row
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 20_000,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
}


def make_tools(database: Path, max_rows: int = 50, seconds: float = 5.0) -> Toolset:
    """Questions to an SQLite database, which is opened for reading only.

    Args:
        database: The database file.
        max_rows: Most rows of one answer.
        seconds: Limit of one question, in seconds.
    """
    if not isinstance(max_rows, int) or isinstance(max_rows, bool) or not 1 <= max_rows <= 10_000:
        raise ToolDefinitionError(f"max_rows is a whole number from 1 to 10000, received {shown(max_rows)}")
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0 < seconds <= 3600:
        raise ToolDefinitionError(f"seconds is a number above 0, at most 3600, received {shown(seconds)}")
    found = _Database(Path(database), max_rows, seconds)
    try:
        tables = found.columns()
    except ToolFailed as error:
        raise ToolDefinitionError(str(error)) from None
    plain, numbers = found.preferred(tables)
    names = {"table": list(tables), "column": plain, "group_by": plain, "where_column": plain}
    limit = seconds + 5  # SQLite ends a question itself; this is for a disk that does not answer
    made = (found.list_tables, found.describe_table, found.find_rows, found.top_rows, found.count_rows, found.query)
    tools = [narrowed(tool(timeout=limit)(function), names) for function in made]
    calculate = narrowed(tool(timeout=limit)(found.calculate), {**names, "column": numbers or plain})
    return Toolset([*tools[:-1], calculate, tools[-1]])


class _Database:
    def __init__(self, path: Path, max_rows: int, seconds: float) -> None:
        self.path, self.max_rows, self.seconds = path, max_rows, seconds

    def list_tables(self) -> list[dict[str, Any]]:
        """List the tables of the database, with their columns and how many rows they have."""
        counted = []
        for name, columns in self.columns().items():
            rows = self._rows(f"SELECT count(*) FROM {_quoted(name)}")[1][0][0]
            counted.append({"table": name, "rows": rows, "columns": columns})
        return counted

    def describe_table(self, table: str) -> dict[str, Any]:
        """Describe a table: its columns, their types, and its first rows.

        Args:
            table: Name of the table.
        """
        self._check(table)
        with self._opened() as connection:
            facts = connection.execute(
                "SELECT name, type, pk FROM pragma_table_xinfo(?) WHERE hidden != 1", (table,)
            ).fetchall()
            keys = connection.execute('SELECT "from", "table", "to" FROM pragma_foreign_key_list(?)', (table,)).fetchall()
        columns = [{"name": name, "type": kind or "any", **({"key": True} if key else {})} for name, kind, key in facts]
        result: dict[str, Any] = {"table": table, "columns": columns}
        if keys:
            result["refers_to"] = [f"{column} -> {other}.{theirs or 'its key'}" for column, other, theirs in keys]
        return {**result, "first_rows": self._ask(f"SELECT * FROM {_quoted(table)} LIMIT 3")["rows"]}

    def find_rows(
        self, table: str, column: str, comparison: Comparison, value: str, limit: _Limit | None = None
    ) -> dict[str, Any]:
        """Find the rows of a table in which a column has a value, or compares with it.

        Args:
            table: Name of the table.
            column: Column to look at.
            comparison: How to compare it with the value.
            value: Value to look for.
            limit: How many rows.
        """
        where, values = self._where(table, column, comparison, value)
        return self._ask(f"SELECT * FROM {_quoted(table)}{where} LIMIT ?", [*values, self._most(limit)])

    def top_rows(
        self, table: str, column: str, first: Literal["largest", "smallest"], limit: _Limit | None = None
    ) -> dict[str, Any]:
        """Show the top rows of a table: those with the largest or smallest values of a column.

        Args:
            table: Name of the table.
            column: Column to sort by.
            first: Whether the largest or the smallest come first.
            limit: How many rows.
        """
        self._check(table, column)
        direction = "DESC" if first == "largest" else "ASC"
        sql = f"SELECT * FROM {_quoted(table)} ORDER BY {_quoted(column)} {direction} LIMIT ?"
        return self._ask(sql, [self._most(limit)])

    def count_rows(self, table: str, column: str | None = None, value: str | None = None) -> dict[str, Any]:
        """Count how many rows a table has, or how many in which a column has a value.

        Args:
            table: Name of the table.
            column: Column to look at.
            value: Value to look for.
        """
        where, values = self._where(table, column, "is", value)
        return {"table": table, "count": self._rows(f"SELECT count(*) FROM {_quoted(table)}{where}", values)[1][0][0]}

    def calculate(
        self,
        table: str,
        function: Function,
        column: str,
        group_by: str | None = None,
        where_column: str | None = None,
        value: str | None = None,
    ) -> dict[str, Any]:
        """Calculate the average, total (sum), minimum or maximum of a column, for all rows or for each group.

        Args:
            table: Name of the table.
            function: What to calculate.
            column: Column to calculate with.
            group_by: Column for each of whose values it is calculated.
            where_column: Only rows in which this column has the value.
            value: That value.
        """
        where, values = self._where(table, where_column, "is", value)
        self._check(table, column, group_by)
        what = f"{_FUNCTIONS[function]}({_quoted(column)}) AS {_quoted(f'{function} of {column}')}"
        if group_by is None:
            return self._ask(f"SELECT {what} FROM {_quoted(table)}{where}", values)
        group = _quoted(group_by)
        # Ordered by its place, since a column may be called as the result is
        return self._ask(f"SELECT {group}, {what} FROM {_quoted(table)}{where} GROUP BY {group} ORDER BY 2 DESC", values)

    def query(self, sql: Annotated[str, Limits(min_length=1, max_length=10_000)]) -> dict[str, Any]:
        """Answer a question with one SELECT statement in SQL.

        Args:
            sql: The SELECT statement.
        """
        return self._ask(sql)

    # -- what they rest on -------------------------------------------------------------------------------------------

    def columns(self) -> dict[str, list[str]]:
        """The columns of every table and view."""
        kinds = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'view', 'virtual')"
        with self._opened() as connection:
            tables = [
                name for (name,) in connection.execute(f"{kinds} AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name")
            ]
            listed = "SELECT name FROM pragma_table_xinfo(?) WHERE hidden != 1"
            return {table: [name for (name,) in connection.execute(listed, (table,))] for table in tables}

    def preferred(self, tables: dict[str, list[str]]) -> tuple[list[str], list[str]]:
        """All columns, and those that are worth calculating with; keys, which are seldom meant, come last or not at all."""
        keys: set[str] = set()
        numbers: list[str] = []
        with self._opened() as connection:
            for table in tables:
                facts = connection.execute("SELECT name, type, pk FROM pragma_table_xinfo(?)", (table,)).fetchall()
                references = connection.execute('SELECT "from" FROM pragma_foreign_key_list(?)', (table,)).fetchall()
                keys |= {name for name, _, key in facts if key} | {name for (name,) in references}
                numbers += [name for name, kind, _ in facts if re.search("INT|REAL|FLOA|DOUB|NUM|DEC", kind.upper())]
        columns = dict.fromkeys(name for names in tables.values() for name in names)
        ordered = sorted(columns, key=lambda name: name in keys)
        return ordered, [name for name in ordered if name in numbers and name not in keys]

    @contextlib.contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """A connection that cannot change the database; SQLite's errors become ours.

        Raises:
            ToolFailed: the file cannot be read, or is no database.
        """
        if not self.path.is_file():
            what = "is no file" if self.path.exists() else "does not exist"
            raise ToolFailed(f"the database {shown(str(self.path))} {what}")
        address = f"file:{quote(str(self.path.absolute()))}?mode=ro"
        try:
            # Opened for each question: tools run on threads of their own, and the file may have been replaced
            with contextlib.closing(sqlite3.connect(address, uri=True, timeout=self.seconds)) as connection:
                for limit, value in _LIMITS.items():
                    connection.setlimit(limit, value)
                connection.text_factory = lambda data: data.decode("utf-8", "replace")
                connection.execute("PRAGMA query_only = ON")
                yield connection
        except sqlite3.Error as error:
            raise ToolFailed(f"the database {self.path.name}: {one_line(error)}") from None

    def _ask(self, sql: str, values: Sequence[Any] = ()) -> dict[str, Any]:
        """The rows of an answer, each by the names of its columns where these differ, and whether there are more."""
        columns, rows = self._rows(sql, values)
        named = len(set(columns)) == len(columns)
        given = [[_plain(value) for value in row] for row in rows[: self.max_rows]]
        result: dict[str, Any] = {} if named else {"columns": columns}
        result["rows"] = [dict(zip(columns, row)) for row in given] if named else given
        if len(rows) > self.max_rows:
            result["note"] = f"only the first {self.max_rows} rows"
        return result

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> tuple[list[str], list[tuple[Any, ...]]]:
        """The columns and rows of an answer, and of the rows one more than are given.

        Raises:
            RetryCall, ToolFailed: it is no question, or takes too long.
        """
        end = time.monotonic() + self.seconds
        with self._opened() as connection:
            connection.set_authorizer(_authorize)
            connection.set_progress_handler(lambda: time.monotonic() > end, _STEPS)
            try:
                cursor = connection.execute(sql, values)
                rows = cursor.fetchmany(self.max_rows + 1)
            except sqlite3.Error as error:
                raise self._refusal(error, time.monotonic() > end) from None
        if cursor.description is None:
            raise RetryCall("that is no question; one SELECT statement is expected")
        return [column[0] for column in cursor.description], rows

    def _refusal(self, error: sqlite3.Error, is_late: bool) -> Exception:
        if is_late:
            return ToolFailed(f"the question took longer than {self.seconds:g} seconds and was ended")
        text = one_line(error)
        if "not authorized" in text or "prohibited" in text or "readonly" in text:
            return ToolFailed(f"the database is only read, so one SELECT statement is allowed ({text})")
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(
            error, sqlite3.OperationalError | sqlite3.ProgrammingError
        ):
            return ToolFailed(f"the database {self.path.name}: {text}")
        tables = "; ".join(f"{table}({', '.join(columns)})" for table, columns in self.columns().items())
        return RetryCall(f"{text}; the tables are: {one_line(tables, 500)}")

    def _most(self, limit: int | None) -> int:
        """How many rows to read: one more than are given says that there are more."""
        return min(limit or self.max_rows + 1, self.max_rows + 1)

    def _check(self, table: str, *columns: str | None) -> None:
        known = self.columns()
        if table not in known:
            raise RetryCall(f"there is no table {shown(table)}; there are: {', '.join(known) or 'none'}")
        for column in columns:
            if column is not None and column not in known[table]:
                raise RetryCall(f"{table} has no column {shown(column)}; it has: {', '.join(known[table])}")

    def _where(self, table: str, column: str | None, comparison: Comparison, value: str | None) -> tuple[str, list[str]]:
        """The condition in SQL, with a place for the value, and the value.

        SQLite compares a bound text with a column of numbers as a number (https://www.sqlite.org/datatype3.html, 4.2).
        """
        self._check(table, column)
        if value is None and column is None:
            return "", []
        if column is None:
            raise RetryCall(
                f"which column is {shown(value)} to be compared with? {table} has: {', '.join(self.columns()[table])}"
            )
        if value is None:
            raise RetryCall(f"which value is {column} to be compared with?")
        name = _quoted(column)
        if comparison == "contains":
            pattern = "".join(f"\\{c}" if c in "\\%_" else c for c in value)
            return f" WHERE {name} LIKE ? ESCAPE '\\'", [f"%{pattern}%"]
        if comparison in _OPERATORS:
            return f" WHERE {name} {_OPERATORS[comparison]} ?", [value]
        return f" WHERE {name} IS {'NOT ' if comparison == 'is not' else ''}? COLLATE NOCASE", [value]


def _authorize(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    if action in _READS or (action == sqlite3.SQLITE_FUNCTION and (second or "").lower() not in _NEVER):
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return str(value)
    if isinstance(value, str) and len(value) > _MOST_TEXT:
        return value[:_MOST_TEXT] + "…"
    return value
