// Checks schema.ts as far as possible without StatelyDB. `--write` updates the derived files first.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { compile, CompileError, describe } from "./compile.mjs";
import { alterations, extended, ledgerFaults } from "./ledger.mjs";
import { migrationFaults, schemaFaults } from "./rules.mjs";
import { asMarkdown, numbered } from "./derived.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const at = (name) => join(here, name);
const read = (name) => (existsSync(at(name)) ? readFileSync(at(name), "utf8") : "");
const asJson = (value) => `${JSON.stringify(value, null, 2)}\n`;

/** Every committed version of the ledger, oldest first; empty without a git history. */
function earlierLedgers() {
  const git = (...words) =>
    execFileSync("git", words, { cwd: here, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  try {
    const commits = git("log", "--reverse", "--format=%H", "--", "fields.ledger.json").split("\n").filter(Boolean);
    return commits.map((commit) => JSON.parse(git("show", `${commit}:./fields.ledger.json`)));
  } catch {
    return [];
  }
}

async function check(write) {
  const compiled = await compile(at("schema.ts"));
  const schema = describe(compiled);
  let ledger = JSON.parse(read("fields.ledger.json") || '{"types":{},"enums":{}}');
  if (write) {
    ledger = extended(ledger, schema);
    writeFileSync(at("fields.ledger.json"), asJson(ledger));
  }
  const faults = [
    ...schemaFaults(schema),
    ...migrationFaults(compiled.migrations, schema, ledger),
    ...ledgerFaults(ledger, schema),
    ...earlierLedgers().flatMap((earlier) => alterations(earlier, ledger)),
  ];
  if (faults.length > 0) return { faults: [...new Set(faults)] };
  const derived = { "schema.json": asJson(numbered(schema, ledger)), "FIELDS.md": asMarkdown(schema, ledger) };
  for (const [name, text] of Object.entries(derived)) {
    if (write) writeFileSync(at(name), text);
    else if (read(name) !== text) faults.push(`${name} does not match schema.ts: run \`node check.mjs --write\``);
  }
  return { faults, schema };
}

try {
  const { faults, schema } = await check(process.argv.includes("--write"));
  for (const fault of faults) console.error(`schema: ${fault}`);
  if (faults.length > 0) process.exit(1);
  const items = Object.values(schema.items);
  const fields = items.reduce((sum, item) => sum + item.fields.length, 0);
  console.log(`schema: version ${schema.version}, ${items.length} types, ${fields} fields, as in the ledger`);
} catch (error) {
  if (!(error instanceof CompileError)) throw error;
  console.error(`schema: ${error.message}`);
  process.exit(1);
}
