# /// script
# requires-python = ">=3.11"
# dependencies = ["pyarrow==22.0.0"]
# ///
"""Makes the sample data beside it: invented people, orders and goods; nobody and nothing is real.

Run it with `uv run --script data/make_sample_data.py`. It gives the same rows every time.
"""

import csv
import json
import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).parent
CUSTOMERS, ORDERS = 250, 400
EPOCH = date(2024, 1, 1)

FIRST = ("Amara", "Bo", "Chidi", "Dalia", "Emre", "Farah", "Goran", "Hana", "Ines", "Jonas")
LAST = ("Abarca", "Belleau", "Dvorak", "Eklund", "Fontaine", "Grauer", "Karlsen", "Lindqvist")
COUNTRIES = ("BE", "CA", "CL", "DE", "DK", "FR", "NG", "RO", "SE", "ZA")
PLANS = ("free", "team", "business")
GOODS = {
    "garden": ("watering can", "pruning shears", "seed tray", "bird bath", "wheelbarrow"),
    "kitchen": ("bread knife", "cast-iron pan", "scale", "sieve", "teapot"),
    "office": ("desk lamp", "stapler", "notebook", "whiteboard", "paper tray"),
    "workshop": ("spirit level", "hand plane", "chisel", "vice", "folding rule"),
}


def customers(chance: random.Random) -> list[dict[str, Any]]:
    """Customers in the order in which they signed up."""
    days = sorted(chance.randrange(700) for _ in range(CUSTOMERS))
    return [
        {
            "customer_id": number,
            "name": f"{chance.choice(FIRST)} {chance.choice(LAST)}",
            "country": chance.choice(COUNTRIES),
            "signed_up": (EPOCH + timedelta(days=day)).isoformat(),
            "plan": chance.choices(PLANS, weights=(6, 3, 1))[0],
        }
        for number, day in enumerate(days, start=1)
    ]


def products(chance: random.Random) -> list[dict[str, Any]]:
    """Products with their prices."""
    named = [(category, name) for category, names in GOODS.items() for name in names]
    return [
        {
            "product_id": f"P{number:03}",
            "name": name,
            "category": category,
            "price_cents": chance.randrange(290, 8990, 10),
        }
        for number, (category, name) in enumerate(named, start=1)
    ]


def orders(
    chance: random.Random, buyers: list[dict[str, Any]], goods: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Orders in the order of their time, each after its customer had signed up."""
    placed = []
    for _ in range(ORDERS):
        buyer = chance.choice(buyers)
        begin = datetime.fromisoformat(buyer["signed_up"]).replace(tzinfo=UTC)
        when = begin + timedelta(minutes=chance.randrange(120 * 24 * 60))
        bought = chance.sample(goods, k=chance.randint(1, 3))
        lines = [{"product_id": p["product_id"], "quantity": chance.randint(1, 4)} for p in bought]
        prices = {p["product_id"]: p["price_cents"] for p in bought}
        total = sum(prices[line["product_id"]] * line["quantity"] for line in lines)
        placed.append((when, buyer["customer_id"], lines, total))
    return [
        {
            "order_id": number,
            "customer_id": customer_id,
            "ordered_at": when.isoformat().replace("+00:00", "Z"),
            "lines": lines,
            "total_cents": total,
        }
        for number, (when, customer_id, lines, total) in enumerate(
            sorted(placed, key=lambda order: order[:2]), start=1
        )
    ]


def main() -> None:
    """Writes the three files."""
    chance = random.Random(2024)  # noqa: S311 - nobody's secret
    people, goods = customers(chance), products(chance)
    with (HERE / "customers.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(people[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(people)
    with (HERE / "orders.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(order) + "\n" for order in orders(chance, people, goods))
    pq.write_table(pa.Table.from_pylist(goods), HERE / "products.parquet", compression="zstd")


if __name__ == "__main__":
    main()
