// The scenario of the official JavaScript client against the server. Any failure ends the run.
import assert from "node:assert/strict";

import { SortDirection } from "@stately-cloud/client";

import { overNode, overWeb, withKey } from "./client.mjs";

const repoId = "acme/web";
const group = "/repo-acme%/web";
const change = (client, revision, nonce = 1n) =>
  client.create("Change", { repoId, revision: BigInt(revision), nonce, body: "{}", notifiable: true });

async function all(list) {
  const items = [];
  for await (const item of list) items.push(item);
  return { items, token: list.token };
}

const failsWith = (statelyCode) => (error) => {
  assert.equal(error.statelyCode, statelyCode, `${error}`);
  return true;
};

async function putAndGet(client) {
  const before = Date.now();
  const runner = client.create("Runner", {
    runnerId: 7n,
    repoId,
    name: "build-7",
    status: 5,
    labels: ["self-hosted", "größer"],
    firstSeenAt: 1_800_000_000_007n,
  });
  const stored = await client.put(runner);
  assert.ok(Number(stored.createdAt) >= before && stored.updatedAt === stored.createdAt, "the server sets the times");
  for (const path of [`${group}/runner-7`, "/fleet-acme%/web/runner-7"]) {
    assert.deepEqual(await client.get("Runner", path), stored);
  }
  const again = await client.put({ ...stored, name: "renamed", createdAt: 1n });
  assert.equal(again.createdAt, stored.createdAt, "a put does not change when an item was created");
  assert.equal(await client.get("Runner", `${group}/runner-8`), undefined);
  await assert.rejects(client.put(client.create("Runner", { runnerId: 1n, repoId })), failsWith("InvalidArgument"));
}

async function conditions(client) {
  await client.put(change(client, 1), { mustNotExist: true });
  const record = client.create("Repository", { repoId, name: "web", revision: 2n });
  const batch = [record, { item: change(client, 1, 2n), mustNotExist: true }];
  await assert.rejects(client.putBatch(...batch), failsWith("ConditionalCheckFailed"));
  assert.equal(await client.get("Repository", group), undefined, "nothing of a refused batch is stored");
  const [, kept] = await client.putBatch(record, { item: change(client, 2), mustNotExist: true });
  assert.equal(kept.revision, 2n);
}

async function lists(client) {
  await client.putBatch(...[10, 9, 100].map((revision) => change(client, revision)));
  const prefix = `${group}/change-`;
  const revisions = async (list) => (await all(list)).items.map((item) => Number(item.revision));
  assert.deepEqual(await revisions(client.beginList(prefix)), [1, 2, 9, 10, 100]);
  assert.deepEqual(await revisions(client.beginList(prefix, { gt: `${prefix}2`, lte: `${prefix}10` })), [9, 10]);
  const latest = { limit: 2, sortDirection: SortDirection.SORT_DESCENDING };
  const { items, token } = await all(client.beginList(prefix, latest));
  assert.deepEqual(items.map((item) => Number(item.revision)), [100, 10]);
  assert.ok(token.canContinue);
  const rest = await all(client.continueList(token));
  assert.deepEqual(rest.items.map((item) => Number(item.revision)), [9, 2]);
  const runners = await all(client.beginList(group, { itemTypes: ["Runner"] }));
  assert.deepEqual(runners.items.map((item) => item.name), ["renamed"]);
  const fleet = await all(client.beginList("/fleet-acme%/web"));
  assert.deepEqual(fleet.items.map((item) => item.$typeName.split(".").pop()), ["Repository", "Runner"]);
  const scanned = await all(client.beginScan({ itemTypes: ["Repository"] }));
  assert.deepEqual(scanned.items.map((item) => item.name), ["web"]);
  await assert.rejects(all(client.beginList("/repo")), failsWith("InvalidArgument"));
  await client.del(`${prefix}100`, `${prefix}101`);
  assert.equal((await revisions(client.beginList(prefix))).length, 4);
}

async function transactions(client) {
  const result = await client.transaction(async (transaction) => {
    const record = await transaction.get("Repository", group);
    record.revision += 1n;
    await transaction.putBatch(record, { item: change(client, 11), mustNotExist: true });
    const seen = await all(transaction.beginList(`${group}/change-`, { limit: 2 }));
    assert.deepEqual(seen.items.map((item) => Number(item.revision)), [1, 2]);
    await transaction.del(`${group}/change-9`);
  });
  assert.ok(result.committed && result.puts.length === 2 && result.puts[0].revision === 3n);
  assert.equal(await client.get("Change", `${group}/change-9`), undefined);
  const lost = client.transaction(async (transaction) => {
    const record = await transaction.get("Repository", group);
    await client.put({ ...record, name: "another's" });
    await transaction.put({ ...record, name: "mine" });
  });
  await assert.rejects(lost, failsWith("ConcurrentModification"));
  assert.equal((await client.get("Repository", group)).name, "another's");
  const refused = client.transaction((transaction) => transaction.put(change(client, 11), { mustNotExist: true }));
  await assert.rejects(refused, failsWith("ConditionalCheckFailed"));
  const thrown = client.transaction(async (transaction) => {
    await transaction.put(change(client, 12));
    throw new Error("changed my mind");
  });
  await assert.rejects(thrown);
  assert.equal(await client.get("Change", `${group}/change-12`), undefined, "what is aborted is not stored");
}

/** All parts, with one client and one store. */
export async function scenario(client, withTransactions = true) {
  await putAndGet(client);
  await conditions(client);
  await lists(client);
  if (withTransactions) await transactions(client);
}

/** A valid key whose token expires every second, no key, and a wrong key. */
export async function keys(endpoint, accessKey) {
  const end = new AbortController();
  const client = withKey(endpoint, 1, { accessKey, abortSignal: end.signal });
  await client.put(change(client, 1));
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  assert.equal((await client.get("Change", `${group}/change-1`)).revision, 1n);
  end.abort();
  const none = overNode(endpoint, 1);
  await assert.rejects(none.get("Change", `${group}/change-1`), failsWith("Unauthenticated"));
  await assert.rejects(all(none.beginList(group)), failsWith("Unauthenticated"));
  const wrong = withKey(endpoint, 1, { accessKey: `${accessKey}?` });
  await assert.rejects(wrong.get("Change", `${group}/change-1`));
}

if (import.meta.url === `file://${process.argv[1]}`) {
  const [open, closed, accessKey] = process.argv.slice(2);
  await scenario(overNode(open, 11));
  await scenario(overWeb(open, 12), false);
  await keys(closed, accessKey);
  console.log("the JavaScript client: put, get, list, scan, conditions, transactions, keys");
  process.exit(0);
}
