// Reads every sample that the monitor's store has written, compares every field with the expected value, and writes it
// into another store with the official client's own objects.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

import { overNode, withKey } from "./client.mjs";
import { fieldsOf } from "./types.mjs";

const [endpoint, closed, accessKey, expectedFile, from, to] = process.argv.slice(2);
const samples = JSON.parse(readFileSync(expectedFile, "utf8"));
const source = overNode(endpoint, Number(from));
const target = overNode(endpoint, Number(to));

/** A field's value as the samples write it. */
const plain = (value) => {
  if (Array.isArray(value)) return value.map(plain);
  return typeof value === "bigint" ? value.toString() : value;
};

function compare(item, { itemType, keyPath, fields }) {
  assert.ok(item, `${keyPath} does not exist`);
  assert.equal(item.$typeName, `stately.generated.${itemType}`);
  let compared = 0;
  for (const { name, fromMetadata } of fieldsOf(itemType)) {
    if (fromMetadata) continue;
    assert.deepEqual(plain(item[name]), fields[name], `${keyPath}: ${name}`);
    compared += 1;
  }
  assert.equal(Object.keys(fields).length, compared, `${keyPath}: the samples name a field that is not in the schema`);
  return compared;
}

/** A new item with the same fields. */
function copied(item, itemType) {
  const fields = fieldsOf(itemType).filter(({ fromMetadata }) => !fromMetadata);
  return target.create(itemType, Object.fromEntries(fields.map(({ name }) => [name, item[name]])));
}

let compared = 0;
const end = new AbortController();
const asJson = withKey(closed, Number(to), {
  accessKey,
  abortSignal: end.signal,
  interceptors: [(next) => (request) => (request.header.set("sc-rf", "application/json"), next(request))],
});
for (const sample of samples) {
  const item = await source.get(sample.itemType, sample.keyPath);
  compared += compare(item, sample);
  await target.put(copied(item, sample.itemType));
  await asJson.put(copied(item, sample.itemType));
  compared += compare(await asJson.get(sample.itemType, sample.keyPath), sample);
}
end.abort();
const kinds = new Set(samples.map(({ itemType }) => itemType));
assert.equal(kinds.size, Object.keys(source.typeMap).length, "there is a sample of every type");
console.log(`the JavaScript client: ${samples.length} samples, ${compared} fields as protobuf and as JSON`);
process.exit(0);
