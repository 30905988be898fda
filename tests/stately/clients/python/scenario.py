"""The scenario of the official Python client against the server. Any failure ends the run."""

import asyncio
import os
import sys
import time

from item_types import ITEM_TYPES, SCHEMA, TypeMapper
from statelydb import SortDirection, StatelyError, WithPutOptions
from statelydb.src.client import Client

Change, Repository, Runner = (ITEM_TYPES[name] for name in ("Change", "Repository", "Runner"))
REPO_ID = "acme/web"
GROUP = "/repo-acme%/web"


def client_of(endpoint: str, store_id: int, **options) -> Client:
    """A client; without an access key unless one is in the environment."""
    return Client(
        store_id=store_id,
        type_mapper=TypeMapper,
        schema_id=1,
        schema_version_id=SCHEMA["version"],
        endpoint=endpoint,
        **options,
    )


def change(revision: int, nonce: int = 1):
    return Change(repoId=REPO_ID, revision=revision, nonce=nonce, body="{}", notifiable=True)


def new(item) -> WithPutOptions:
    return WithPutOptions(item, must_not_exist=True, overwrite_metadata_timestamps=False)


async def fails_with(stately_code: str, awaitable) -> None:
    try:
        await awaitable
    except StatelyError as error:
        assert error.stately_code == stately_code, error
    else:
        raise AssertionError(f"it did not fail with {stately_code}")


async def listed(listing) -> list:
    items, _ = await (await listing).collect()
    return items


async def put_and_get(client: Client) -> None:
    before = time.time_ns() // 1_000_000
    labels = ["self-hosted", "größer"]
    runner = Runner(runnerId=7, repoId=REPO_ID, name="build-7", status=5, labels=labels, firstSeenAt=1_800_000_000_007)
    stored = (await client.put(runner)).fields
    assert stored.createdAt >= before and stored.updatedAt == stored.createdAt, "the server sets the times"
    for path in (f"{GROUP}/runner-7", "/fleet-acme%/web/runner-7"):
        assert (await client.get(Runner, path)).fields == stored
    assert await client.get(Runner, f"{GROUP}/runner-8") is None
    await fails_with("InvalidArgument", client.put(Runner(runnerId=1, repoId=REPO_ID)))


async def conditions(client: Client) -> None:
    await client.put(change(1), must_not_exist=True)
    record = Repository(repoId=REPO_ID, name="web", revision=2)
    refused = client.put_batch(record, new(change(1, 2)))
    await fails_with("ConditionalCheckFailed", refused)
    assert await client.get(Repository, GROUP) is None, "nothing of a refused batch is stored"
    stored = await client.put_batch(record, new(change(2)))
    assert [item.item_type() for item in stored] == ["Repository", "Change"]


async def lists(client: Client) -> None:
    await client.put_batch(*(change(revision) for revision in (10, 9, 100)))
    prefix = f"{GROUP}/change-"

    async def revisions(**options) -> list:
        return [item.fields.revision for item in await listed(client.begin_list(prefix, **options))]

    assert await revisions() == [1, 2, 9, 10, 100]
    assert await revisions(gt=f"{prefix}2", lte=f"{prefix}10") == [9, 10]
    latest = await client.begin_list(prefix, limit=2, sort_direction=SortDirection.SORT_DESCENDING)
    items, token = await latest.collect()
    assert [item.fields.revision for item in items] == [100, 10] and token.can_continue
    rest = await listed(client.continue_list(token))
    assert [item.fields.revision for item in rest] == [9, 2]
    runners = await listed(client.begin_list(GROUP, item_types=[Runner]))
    assert [item.fields.name for item in runners] == ["build-7"]
    scanned = await listed(client.begin_scan(item_types=[Repository]))
    assert [item.fields.name for item in scanned] == ["web"]
    await fails_with("InvalidArgument", listed(client.begin_list("/repo")))
    await client.delete(f"{prefix}100", f"{prefix}101")
    assert await revisions() == [1, 2, 9, 10]


async def transactions(client: Client) -> None:
    transaction = await client.transaction()
    async with transaction:
        record = await transaction.get(Repository, GROUP)
        record.fields.revision += 1
        await transaction.put(record)
        await transaction.put(change(11), must_not_exist=True)
        seen = await listed(transaction.begin_list(f"{GROUP}/change-", limit=2))
        assert [item.fields.revision for item in seen] == [1, 2]
        await transaction.delete(f"{GROUP}/change-9")
    assert transaction.result.committed
    assert [item.item_type() for item in transaction.result.puts] == ["Repository", "Change"]
    assert await client.get(Change, f"{GROUP}/change-9") is None

    async def lost_race() -> None:
        async with await client.transaction() as transaction:
            record = await transaction.get(Repository, GROUP)
            await client.put(Repository(repoId=REPO_ID, name="another's"))
            record.fields.name = "mine"
            await transaction.put(record)

    await fails_with("ConcurrentModification", lost_race())
    assert (await client.get(Repository, GROUP)).fields.name == "another's"

    async def refused() -> None:
        async with await client.transaction() as transaction:
            await transaction.put(change(11), must_not_exist=True)

    await fails_with("ConditionalCheckFailed", refused())
    try:
        async with await client.transaction() as transaction:
            await transaction.put(change(12))
            raise KeyError("changed my mind")
    except KeyError:
        pass
    assert await client.get(Change, f"{GROUP}/change-12") is None, "what is aborted is not stored"


async def keys(endpoint: str, access_key: str) -> None:
    """A valid key whose token expires every second, and no key."""
    os.environ["STATELY_ACCESS_KEY"] = access_key
    async with client_of(endpoint, 4) as client:
        await client.put(change(1))
        await asyncio.sleep(1.5)
        assert (await client.get(Change, f"{GROUP}/change-1")).fields.revision == 1
    async with client_of(endpoint, 4, no_auth=True) as client:
        await fails_with("Unauthenticated", client.get(Change, f"{GROUP}/change-1"))
        await fails_with("Unauthenticated", listed(client.begin_list(GROUP)))


async def main(open_endpoint: str, closed_endpoint: str, access_key: str) -> None:
    async with client_of(open_endpoint, 13, no_auth=True) as client:
        for part in (put_and_get, conditions, lists, transactions):
            await part(client)
    await keys(closed_endpoint, access_key)
    print("the Python client: put, get, list, scan, conditions, transactions, keys")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
