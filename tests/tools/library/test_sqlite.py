from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import pytest
from ferrule.tools import RetryCall, ToolDefinitionError, ToolFailed, Toolset
from ferrule.tools.library import make_tools

SHOP = """
create table customers(id integer primary key, name text, country text, "odd ""name" text);
insert into customers values(1,'Ada','Norway','50%'),(2,'Bob','Kenya','500'),(3,'Cy','Norway',null);
create table orders(id integer primary key, customer_id integer references customers(id), amount real, day date);
insert into orders values(1,1,10.5,'2026-01-02'),(2,2,20,'2026-02-02'),(3,1,9,'2026-03-01');
create view norwegians as select name from customers where country = 'Norway';
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    connection = sqlite3.connect(tmp_path / "shop.db")
    connection.executescript(SHOP)
    connection.close()
    return tmp_path / "shop.db"


@pytest.fixture
def shop(path: Path) -> Toolset:
    return make_tools("sqlite", database=path, max_rows=5, seconds=1.0)


def test_tables(shop):
    tables = shop["list_tables"].call({})
    assert [(t["table"], t["rows"]) for t in tables] == [("customers", 3), ("norwegians", 2), ("orders", 3)]
    described = shop["describe_table"].call({"table": "orders"})
    assert described["columns"][0] == {"name": "id", "type": "INTEGER", "key": True}
    assert described["refers_to"] == ["customer_id -> customers.id"]
    assert len(described["first_rows"]) == 3


@pytest.mark.parametrize(
    ("tool", "arguments", "rows"),
    [
        ("find_rows", {"table": "customers", "column": "country", "value": "norway", "comparison": "is"}, [1, 3]),
        ("find_rows", {"table": "customers", "column": "country", "value": "Norway", "comparison": "is not"}, [2]),
        ("find_rows", {"table": "customers", "column": 'odd "name', "value": "0%", "comparison": "contains"}, [1]),
        ("find_rows", {"table": "orders", "column": "amount", "value": "9", "comparison": "more than"}, [1, 2]),
        ("find_rows", {"table": "orders", "column": "amount", "value": "9", "comparison": "at most"}, [3]),
        ("find_rows", {"table": "orders", "column": "day", "value": "2026-02-01", "comparison": "less than"}, [1]),
        ("find_rows", {"table": "customers", "column": "name", "value": "x' OR '1'='1", "comparison": "is"}, []),
        ("top_rows", {"table": "orders", "column": "amount", "first": "largest", "limit": 2}, [2, 1]),
        ("top_rows", {"table": "orders", "column": "amount", "first": "smallest"}, [3, 1, 2]),
    ],
)
def test_rows(shop, tool, arguments, rows):
    assert [row["id"] for row in shop[tool].call(arguments)["rows"]] == rows


def test_figures(shop):
    assert shop["count_rows"].call({"table": "orders"})["count"] == 3
    assert shop["count_rows"].call({"table": "customers", "column": "country", "value": "Norway"})["count"] == 2
    total = {"table": "orders", "function": "total", "column": "amount"}
    assert shop["calculate"].call(total)["rows"] == [{"total of amount": 39.5}]
    assert shop["calculate"].call({**total, "group_by": "customer_id"})["rows"] == [
        {"customer_id": 2, "total of amount": 20.0},
        {"customer_id": 1, "total of amount": 19.5},
    ]
    assert shop["calculate"].call({**total, "where_column": "customer_id", "value": "1"})["rows"] == [{"total of amount": 19.5}]
    assert shop["query"].call({"sql": "select avg(amount) a from orders"}) == {"rows": [{"a": 39.5 / 3}]}
    assert shop["query"].call({"sql": "select 1 a, 2 a"}) == {"columns": ["a", "a"], "rows": [[1, 2]]}
    many = shop["query"].call(
        {"sql": "with recursive n(x) as (values(1) union all select x+1 from n where x < 9) select x from n"}
    )
    assert (many["rows"], many["note"]) == ([{"x": n} for n in range(1, 6)], "only the first 5 rows")


def test_the_schemas_list_the_names_that_there_are(shop):
    properties = shop["calculate"].parameters["properties"]
    assert properties["table"]["enum"] == ["customers", "norwegians", "orders"]
    assert properties["column"]["enum"] == ["amount"]  # keys and texts are not calculated with
    assert properties["group_by"]["enum"][-2:] == ["id", "customer_id"]


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO orders VALUES (9, 1, 1, '')",
        "UPDATE orders SET amount = 0",
        "DELETE FROM orders RETURNING *",
        "WITH x AS (SELECT 9) INSERT INTO orders SELECT 9, 1, 1, ''",
        "REPLACE INTO orders VALUES (1, 1, 1, '')",
        "ATTACH 'other.db' AS other",
        "DETACH main",
        "PRAGMA writable_schema = 1",
        "PRAGMA query_only = OFF",
        "PRAGMA table_info(orders)",
        "SELECT * FROM pragma_table_info('orders')",
        "SELECT load_extension('x.so')",
        "SELECT fts3_tokenizer('simple')",
        "CREATE TABLE x(a)",
        "CREATE TEMP TABLE x(a)",
        "CREATE VIRTUAL TABLE x USING fts5(a)",
        "DROP TABLE orders",
        "ALTER TABLE orders ADD b",
        "REINDEX",
        "ANALYZE",
        "VACUUM",
        "VACUUM INTO 'copy.db'",
        "BEGIN IMMEDIATE",
        "SAVEPOINT a",
        "SELECT 1; DELETE FROM orders",
        "EXPLAIN DELETE FROM orders",
        "-- nothing",
        "SELECT zeroblob(1000000000)",
    ],
)
def test_what_is_no_reading_is_refused_by_sqlite(shop, path, sql, monkeypatch):
    monkeypatch.chdir(path.parent)
    before = path.read_bytes()
    with pytest.raises((ToolFailed, RetryCall)):
        shop["query"].call({"sql": sql})
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["shop.db"]


def test_each_guard_holds_on_its_own(path, monkeypatch):
    """Without the authorizer, the mode of the file and query_only still refuse a change."""
    from ferrule.tools.library import sqlite

    monkeypatch.setattr(sqlite, "_authorize", lambda *_: sqlite3.SQLITE_OK)
    shop, before = make_tools("sqlite", database=path), path.read_bytes()
    with pytest.raises(ToolFailed, match="readonly"):
        shop["query"].call({"sql": "DELETE FROM orders"})
    with pytest.raises((ToolFailed, RetryCall)):
        shop["query"].call({"sql": "ATTACH 'other.db' AS other"})
    assert path.read_bytes() == before
    assert not (path.parent / "other.db").exists()


def test_a_question_without_an_end(shop):
    start = time.monotonic()
    with pytest.raises(ToolFailed, match="longer than 1 seconds"):
        shop["query"].call({"sql": "WITH RECURSIVE n(x) AS (VALUES(1) UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"})
    assert time.monotonic() - start < 4


def test_mistakes_are_told(shop):
    with pytest.raises(RetryCall, match=r"no such column: nope.*orders\(id, customer_id, amount, day\)"):
        shop["query"].call({"sql": "SELECT nope FROM orders"})
    with pytest.raises(RetryCall, match="customers has no column 'amount'"):
        shop["find_rows"].call({"table": "customers", "column": "amount", "value": "1", "comparison": "is"})
    with pytest.raises(RetryCall, match="which value"):
        shop["count_rows"].call({"table": "orders", "column": "day"})


def test_what_is_no_database(tmp_path, path):
    (tmp_path / "text.db").write_text("no database at all, but long enough to be looked at by SQLite" * 20)
    for name, message in (("none.db", "does not exist"), ("text.db", "not a database"), (".", "is no file")):
        with pytest.raises(ToolDefinitionError, match=message):
            make_tools("sqlite", database=tmp_path / name)
    shop = make_tools("sqlite", database=path)
    path.unlink()
    with pytest.raises(ToolFailed, match="does not exist"):
        shop["list_tables"].call({})
    with pytest.raises(ToolDefinitionError, match="max_rows"):
        make_tools("sqlite", database=path, max_rows=0)
