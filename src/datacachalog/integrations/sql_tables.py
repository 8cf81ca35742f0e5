"""Which tables a query names, and the query with something else in their place.

A query is what DuckDB's `json_serialize_sql` makes of it, and `json_deserialize_sql` makes SQL of
again: nothing here reads SQL. Seen with DuckDB 1.2 to 2.0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

Node: TypeAlias = dict[str, Any]
"""A part of a query; DuckDB names what it has in it."""

Scope: TypeAlias = frozenset[str]
"""The names of the common table expressions that can be seen, in small letters."""


_OF_RECURSION = ["recurring"]  # where a recursive expression with a key has all its rows


def tables_in(query: Any) -> list[Node]:
    """The tables that a query reads, as nodes of it, in no order; a table as often as it is named.

    A common table expression is none, where it can be seen: not in itself, unless it is recursive,
    nor in those before it.
    """
    found: list[Node] = []
    waiting: list[tuple[Any, Scope]] = [(query, frozenset())]
    while waiting:  # no recursion: a long expression is nested as deeply as it is long
        value, scope = waiting.pop()
        if isinstance(value, list):
            waiting += [(one, scope) for one in value]
        elif isinstance(value, dict):
            if value.get("type") == "BASE_TABLE":
                *schema, name = (one.lower() for one in path_of(value))
                if name not in scope or schema not in ([], _OF_RECURSION):
                    found.append(value)
            else:
                waiting += _parts(value, scope)
    return found


def path_of(table: Node) -> tuple[str, ...]:
    """The name of a table, after those of its schema and its database where they are given."""
    names = (table.get(key) for key in ("catalog_name", "schema_name", "table_name"))
    return tuple(str(name) for name in names if name)


def _parts(node: Node, scope: Scope) -> Iterator[tuple[Any, Scope]]:
    """What is in a node, and which names can be seen there."""
    for entry in (node.get("cte_map") or {}).get("map", ()):
        yield entry["value"], scope
        scope |= {entry["key"].lower()}
    inside = scope
    if "cte_name" in node:  # a RECURSIVE_CTE_NODE, or a CTE_NODE
        inside |= {str(node.get("cte_name")).lower()}
    for name, value in node.items():
        # A CTE_NODE, which older releases make, has the expression in `query`, and in `child`
        # what sees it.
        is_before = node.get("type") == "CTE_NODE" and name == "query"
        if name != "cte_map":
            yield value, scope if is_before else inside


def replace_table(table: Node, by: Node) -> None:
    """Has a query read `by`, a table function, where it reads `table`; it is called the same."""
    kept = {name: table[name] for name in ("sample", "column_name_alias") if table.get(name)}
    alias = table.get("alias") or table["table_name"]
    table.clear()
    table |= by | kept | {"alias": alias}


def forget_schemas(query: Any, tables: set[tuple[str, str]]) -> None:
    """Has columns that are called `schema.table.column` be called `table.column`.

    What takes a table's place has no schema. Of a struct `table` in a table called `schema` nothing
    is changed: `tables` are those that were named so, in small letters.
    """
    waiting = [query]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            names = value.get("column_names") or []
            if value.get("type") == "COLUMN_REF" and len(names) > 2:
                schema, table, *_ = (one.lower() for one in names)
                if (schema, table) in tables:
                    value["column_names"] = names[1:]
            waiting += value.values()
