"""Reads every sample that the monitor's store has written, compares every field with the expected value, and writes it
into another store with the official client's own objects."""

import asyncio
import json
import sys
from pathlib import Path

from item_types import ITEM_TYPES, SCHEMA
from scenario import client_of

WIDE = {"uint64", "sint64"}


def plain(field: dict, value):
    """A field's value as the samples write it."""
    if field.get("repeated"):
        return list(value)
    return str(value) if field["type"] in WIDE else value


def compare(item, sample: dict, fields: list) -> int:
    where = sample["keyPath"]
    assert item is not None, f"{where} does not exist"
    assert item.key_path() == where, f"{item.key_path()} is not {where}"
    for field in fields:
        name = field["name"]
        read, meant = plain(field, getattr(item.fields, name)), sample["fields"][name]
        assert read == meant, f"{where}: {name} is {read!r} and not {meant!r}"
    assert len(sample["fields"]) == len(fields), f"{where}: a field is not in the schema"
    return len(fields)


async def main(endpoint: str, samples_file: str, source_id: str, target_id: str) -> None:
    samples = json.loads(Path(samples_file).read_text())
    compared = 0
    async with (
        client_of(endpoint, int(source_id), no_auth=True) as source,
        client_of(endpoint, int(target_id), no_auth=True) as target,
    ):
        for sample in samples:
            item_type = ITEM_TYPES[sample["itemType"]]
            fields = [f for f in SCHEMA["items"][sample["itemType"]]["fields"] if "fromMetadata" not in f]
            item = await source.get(item_type, sample["keyPath"])
            compared += compare(item, sample, fields)
            await target.put(item_type(**{f["name"]: getattr(item.fields, f["name"]) for f in fields}))
    assert {sample["itemType"] for sample in samples} == set(ITEM_TYPES), "there is a sample of every type"
    print(f"the Python client: {len(samples)} samples, {compared} fields")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
