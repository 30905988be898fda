// Each check can fail: a small valid schema is broken in one way at a time.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { compile, CompileError, describe } from "./compile.mjs";
import { alterations, extended, ledgerFaults } from "./ledger.mjs";
import { migrationFaults, schemaFaults } from "./rules.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const empty = { types: {}, enums: {} };

const inOrder = `
import { arrayOf, enumType, itemType, migrate, objectType, string, timestampSeconds, uint } from "@stately-cloud/schema";
export const Mood = enumType("Mood", { GOOD: 1, BAD: 2 });
export const Cat = itemType("Cat", {
  keyPath: ["/home-:home/cat-:id", "/cats-:id"],
  ttl: { source: "atTimestamp", field: "goneAt" },
  fields: {
    home: { type: string },
    id: { type: uint },
    mood: { type: Mood },
    names: { type: arrayOf(string), required: false },
    goneAt: { type: timestampSeconds, required: false },
  },
});
`;
const migrating = `
migrate(1, "more", (m) => m.changeType("Cat", (t) => { t.addField("age"); t.markFieldAsNotRequired("names", []); }));
migrate(2, "a friend", (m) => { m.addType("Dog"); m.changeEnum("Mood", (e) => e.addValue("BAD")); });
export const Dog = itemType("Dog", { keyPath: "/dogs-:no", fields: { no: { type: uint } } });
`;
const grown = `${inOrder.replace("goneAt: {", "goneAt: { type: timestampSeconds, required: false },\n    age: { type: uint, required: false }, //")}${migrating}`;

async function compiled(source) {
  const folder = mkdtempSync(join(here, "test-"));
  try {
    writeFileSync(join(folder, "schema.ts"), source);
    return await compile(join(folder, "schema.ts"));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

// A compilation takes seconds, so most faults are made in the compiled description.
const [plain, later] = await Promise.all([compiled(inOrder), compiled(grown)]);
const schema = describe(plain);
const ledger = extended(empty, schema);

function edited(value, edit) {
  const copy = structuredClone(value);
  edit(copy);
  return copy;
}
const field = (cat, name) => cat.fields.find((candidate) => candidate.name === name);

test("a valid schema has no faults", () => {
  assert.deepEqual(schemaFaults(schema), []);
  assert.deepEqual(ledgerFaults(ledger, schema), []);
  assert.deepEqual(migrationFaults(plain.migrations, schema, ledger), []);
});

test("a compile error is reported although the compiler exits with 0", async () => {
  const refused = [
    inOrder.replace("id: { type: uint }", "id: { type: uint, fieldNum: 2 }"),
    inOrder.replace("id: { type: uint }", "id: { type: nothing }"),
    `${inOrder}\nthrow new Error("on import");`,
    `${inOrder}\nexport const Twin = objectType("Twin", { fields: { cats: { type: Cat } } });`,
  ];
  const outcomes = await Promise.allSettled(refused.map(compiled));
  outcomes.forEach(({ reason }, index) => assert.ok(reason instanceof CompileError, `${refused[index]}\n${reason}`));
});

const broken = {
  "a key path names no field": [(cat) => (cat.keyPaths[1] = "/cats-:tag"), /`:tag` names no field/],
  "a key path with a fixed id": [(cat) => (cat.keyPaths[1] = "/cats-id"), /`id` names no field/],
  "a namespace with a digit": [(cat) => (cat.keyPaths[1] = "/cats9-:id"), /`cats9` is not a namespace/],
  "a middle segment without an id": [(cat) => (cat.keyPaths[0] = "/home-:home/cat/x-:id"), /`cat` needs an id/],
  "a group without an id": [(cat) => (cat.keyPaths[1] = "/cats"), /`cats` needs an id/],
  "a key that is a list": [(cat) => (cat.keyPaths[1] = "/cats-:names"), /`:names` cannot be a key/],
  "a key that may be empty": [(cat) => delete field(cat, "id").required, /`:id` may be empty/],
  "two types with one key path": [(cat) => cat.keyPaths.push("/cats-:mood"), /Cat has the same key path/],
  "a required list": [(cat) => (field(cat, "names").required = true), /Cat.names: must not be required/],
  "a name with an underscore": [(cat) => (field(cat, "names").name = "all_names"), /Cat.all_names: must be lowerCamelCase/],
  "expiry by age": [
    (cat) => (cat.ttl = { source: "fromCreated", durationSeconds: 60 }),
    /Cat: must not expire by age alone/,
  ],
  "expiry at a field that is not a timestamp": [(cat) => (cat.ttl.field = "id"), /expires at `id`, which is not a timestamp/],
  "expiry of every item": [(cat) => (field(cat, "goneAt").required = true), /`goneAt` must not be required/],
};
for (const [title, [edit, fault]] of Object.entries(broken)) {
  test(title, () => {
    const faults = schemaFaults(edited(schema, ({ items }) => edit(items.Cat)));
    assert.match(faults.join("\n"), fault);
  });
}

test("two types of one name", () => {
  const twins = edited(plain, ({ messages }) => messages.push(messages[0]));
  assert.throws(() => describe(twins), /two types are called Cat/);
});

test("two values of an enum with one number", () => {
  const faults = schemaFaults(edited(schema, ({ enums }) => (enums.Mood.BAD = 1)));
  assert.match(faults.join("\n"), /Mood: two values have the same number/);
});

test("migrations name what exists, and every later field has one", () => {
  const now = describe(later);
  assert.equal(now.version, 3);
  const grownLedger = extended(ledger, now);
  assert.equal(grownLedger.types.Cat.age.number, 6);
  // One publication at a time: the fields of version 2 were in the ledger before version 3 was written.
  grownLedger.types.Cat.age.since = 2;
  assert.deepEqual(migrationFaults(later.migrations, now, grownLedger), []);
  const faults = (edit, ofLedger = () => {}) => {
    const migrations = edited(later.migrations, edit);
    return migrationFaults(migrations, now, edited(grownLedger, ofLedger)).join("\n");
  };
  const act = (action) => faults((migrations) => migrations[0].commands[0].actions.push(action));
  assert.match(act({ removeField: { name: "id" } }), /removes Cat.id, which is in the schema/);
  assert.match(act({ renameField: { oldName: "old", newName: "age" } }), /fields must not be renamed/);
  assert.match(act({ addKeyPath: { keyPath: "/tail-:id" } }), /Cat has no key path \/tail-:id/);
  assert.match(act({ removeKeyPath: { keyPath: "/cats-:id" } }), /removes \/cats-:id, which is in the schema/);
  for (const kind of ["addField", "markFieldAsRequired", "markFieldAsNotRequired", "modifyFieldReadDefault"]) {
    assert.match(act({ [kind]: { name: "tail" } }), /Cat has no field tail/);
  }
  assert.match(act({ removeType: {} }), /removes Cat, which is in the schema/);
  assert.match(act({ renameType: { newName: "Lion" } }), /Lion is not a type/);
  assert.match(act({ somethingNew: {} }), /somethingNew is an action that this check does not know/);
  const mood = (action) => faults((migrations) => (migrations[1].commands[1].actions = [action]));
  assert.match(mood({ addEnumValue: { newValueName: "FAIR" } }), /Mood has no value FAIR/);
  const renamed = (migrations) => (migrations[0].commands[0].typeName = "Lion");
  assert.match(faults(renamed), /Lion is not a type/);
  const dropped = (migrations) => migrations.shift();
  assert.match(faults(dropped), /Cat.age is new in version 2, but no migration from 1 adds it/);
  assert.match(faults(dropped), /there is no migration from version 1/);
  const sinceThree = ({ types }) => (types.Cat.age.since = 3);
  assert.match(faults(() => {}, sinceThree), /Cat.age is new in version 3, but no migration from 2 adds it/);
});

test("numbers are never reused and never change", () => {
  const faults = (edit) => ledgerFaults(ledger, edited(schema, edit)).join("\n");
  assert.match(faults(({ items }) => (field(items.Cat, "id").type = "string")), /Cat.id is uint64 in the ledger but/);
  assert.match(faults(({ items }) => (field(items.Cat, "id").repeated = true)), /but repeated uint64 in schema.ts/);
  assert.match(faults(({ enums }) => (enums.Mood.GOOD = 3)), /Mood.GOOD is 1 in the ledger but 3/);
  assert.match(faults(({ enums }) => delete enums.Mood.GOOD), /Mood.GOOD is 1 in the ledger but undefined/);
  assert.match(faults(({ enums }) => (enums.Mood.FAIR = 3)), /Mood.FAIR is not in the ledger/);
  assert.match(faults(({ items }) => items.Cat.fields.splice(2, 1)), /Cat.mood is in the ledger but no longer/);
  assert.match(faults(({ items }) => delete items.Cat), /Cat.home is in the ledger but no longer/);
  assert.match(faults(({ items }) => items.Cat.fields.push({ name: "fur", type: "string" })), /Cat.fur has no number/);
  assert.match(faults(({ items }) => items.Cat.fields.reverse()), /out of number order/);

  const inLedger = (edit) => ledgerFaults(edited(ledger, ({ types }) => edit(types.Cat)), schema).join("\n");
  assert.match(inLedger((cat) => (cat.mood.number = 1)), /home and mood have the same number 1/);
  assert.match(inLedger((cat) => (cat.goneAt.number = 9)), /number 5 is missing/);
  assert.match(inLedger((cat) => (cat.goneAt.number = 0.5)), /must have a whole number/);
  assert.match(inLedger((cat) => (cat.mood.removed = true)), /its name must not be used again/);
  const gone = edited(schema, ({ items }) => items.Cat.fields.splice(2, 1));
  const kept = edited(ledger, ({ types }) => (types.Cat.mood.removed = true));
  assert.deepEqual(ledgerFaults(kept, gone), [], "a removed field keeps its line");
});

const unpublished = ledger;

test("a ledger that was never published may still be altered", () => {
  const renamed = edited(unpublished, ({ types }) => {
    types.Cat.identity = types.Cat.id;
    delete types.Cat.id;
  });
  assert.deepEqual(alterations(unpublished, renamed), []);
});

test("a published ledger's lines are never altered", () => {
  const ledger = { ...unpublished, published: 1 };
  assert.deepEqual(alterations(ledger, ledger), []);
  const added = edited(ledger, ({ types }) => (types.Cat.age = { number: 6, type: "uint64", since: 2 }));
  assert.deepEqual(alterations(ledger, added), []);
  const edits = [(cat) => (cat.id.number = 9), (cat) => delete cat.id, (cat) => (cat.id.type = "string")];
  for (const edit of edits) {
    const faults = alterations(ledger, edited(ledger, ({ types }) => edit(types.Cat)));
    assert.match(faults.join("\n"), /the ledger's line for Cat.id was altered/);
  }
  const faults = alterations(ledger, edited(ledger, ({ enums }) => delete enums.Mood.BAD));
  assert.match(faults.join("\n"), /Mood.BAD was altered/);
  assert.match(alterations(ledger, unpublished).join("\n"), /version 1 was published/);
});
