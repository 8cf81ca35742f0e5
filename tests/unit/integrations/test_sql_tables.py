"""Which tables a query names, where DuckDB's own words for it differ by release."""

from __future__ import annotations

from datacachalog.integrations.sql_tables import forget_schemas, path_of, replace_table, tables_in


def table(name, **more):
    return {"type": "BASE_TABLE", "alias": "", "table_name": name, **more}


def select(source, ctes=()):
    entries = [{"key": key, "value": {"query_node": node}} for key, node in ctes]
    return {"type": "SELECT_NODE", "cte_map": {"map": entries}, "from_table": source}


def names(query):
    return sorted(".".join(path_of(one)) for one in tables_in(query))


def test_an_expression_is_not_seen_in_itself_nor_before():
    ctes = [("a", select(table("b"))), ("b", select(table("b"))), ("c", select(table("A")))]

    assert ["b", "b"] == names(select(table("C"), ctes))


def test_an_expression_is_not_seen_beside_where_it_is():
    inner = {"type": "SUBQUERY", "subquery": select(table("a"), [("a", select(table("x")))])}

    assert ["a", "x"] == names({"type": "JOIN", "left": inner, "right": table("a")})


def test_a_recursive_expression_is_seen_in_itself():
    node = {"type": "RECURSIVE_CTE_NODE", "cte_name": "r", "left": {}, "right": select(table("r"))}
    keyed = {**node, "right": select(table("r", schema_name="recurring"))}

    assert [] == names(select(table("r"), [("r", node)]))
    assert [] == names(select(table("r"), [("r", keyed)]))
    assert ["recurring.x"] == names(select(table("x", schema_name="recurring")))


def test_a_materialised_expression_of_older_releases_is_seen_after_it():
    node = {
        "type": "CTE_NODE",
        "cte_name": "a",
        "query": select(table("a")),
        "child": select(table("a")),
    }

    assert ["a"] == names(node)


def test_a_constant_has_a_type_that_is_no_word():
    assert [] == names({"type": "VALUE_CONSTANT", "value": {"type": {"id": "INTEGER"}, "value": 1}})


def test_what_takes_a_tables_place_is_called_as_it_was():
    plain, named = table("t"), table("t", alias="x", sample={"size": 1}, column_name_alias=["a"])
    by = {"type": "TABLE_FUNCTION", "alias": "", "sample": None}

    for one in (plain, named):
        replace_table(one, by)

    assert {"type": "TABLE_FUNCTION", "alias": "t", "sample": None} == plain
    assert ("x", {"size": 1}, ["a"]) == tuple(
        named[one] for one in ("alias", "sample", "column_name_alias")
    )


def test_columns_are_called_without_a_schema_that_is_gone():
    def column(*path):
        return {"type": "COLUMN_REF", "column_names": list(path)}

    query = [column("NS", "T", "x"), column("ns", "t"), column("ns", "u", "x"), column("t", "x")]

    forget_schemas(query, {("ns", "t")})

    assert [["T", "x"], ["ns", "t"], ["ns", "u", "x"], ["t", "x"]] == [
        one["column_names"] for one in query
    ]


def test_a_long_query_is_no_deep_one():
    query = table("t")
    for _ in range(100_000):
        query = {"child": query}

    assert ["t"] == names(query)
