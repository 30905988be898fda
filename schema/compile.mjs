// Compiles schema.ts without a network and describes the result as plain JSON.
import { execFile } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const here = dirname(fileURLToPath(import.meta.url));
const compiler = join(here, "node_modules/@stately-cloud/schema/dist");
// Imported by path because the package does not export it.
const { DSLResponseSchema } = await import(join(compiler, "dsl/cli_pb.js"));
const { fromBinary, toJson } = await import("@bufbuild/protobuf");

/** A fault that ends the check: without a compiled schema there is nothing to check. */
export class CompileError extends Error {}

/** Runs the compiler. It always exits with 0; its errors are in its output. */
async function run(file, fromVersion) {
  const versions = fromVersion === undefined ? [] : [String(fromVersion)];
  const args = [join(compiler, "cli.js"), file, "monitor", ...versions];
  const options = { cwd: here, encoding: "buffer", maxBuffer: 1 << 26 };
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, options);
  if (stdout.length === 0) throw new CompileError(`the compiler wrote nothing: ${stderr}`);
  const response = toJson(DSLResponseSchema, fromBinary(DSLResponseSchema, stdout));
  const errors = response.errors ?? [];
  if (errors.length > 0) {
    throw new CompileError(errors.map((error) => `${error.statelyCode}: ${error.message}`).join("\n"));
  }
  if (!response.package) throw new CompileError("the compiler returned neither a package nor an error");
  return response;
}

/** Compiles a schema: its types and every migration. */
export async function compile(file) {
  const latest = await run(file);
  const last = Math.max(0, ...(latest.migrations ?? []).map(fromVersionOf));
  // Without a version the compiler returns only the latest migrations.
  const migrations = latest.migrations ?? [];
  for (let version = last - 1; version >= 1; version -= 1) {
    migrations.unshift(...((await run(file, version)).migrations ?? []));
  }
  return { ...latest.package, migrations };
}

/** The schema version that a migration starts from. */
export const fromVersionOf = (migration) => migration.fromSchemaVersion ?? 0;

const kinds = {
  DOUBLE_KIND: "double",
  FLOAT_KIND: "float",
  SINT32_KIND: "sint32",
  SINT64_KIND: "sint64",
  UINT32_KIND: "uint32",
  UINT64_KIND: "uint64",
};

/** A field's wire type, in protobuf's terms. */
function wireType(type) {
  if (type.list) return { ...wireType(type.list.elementType), repeated: true };
  if (type.string) return { type: "string" };
  if (type.bool) return { type: "bool" };
  if (type.binary) return { type: "bytes" };
  if (type.referenceByName) return { type: type.referenceByName };
  const wire = kinds[type.number?.kind];
  if (!wire) throw new CompileError(`unknown type: ${JSON.stringify(type)}`);
  const unit = type.number.interpretAs?.match(/TIMESTAMP_(\w+)$/)?.[1].toLowerCase();
  return unit ? { type: wire, timestamp: unit } : { type: wire };
}

const camel = (word, prefix) =>
  word.slice(prefix.length).toLowerCase().replace(/_(\w)/g, (_, letter) => letter.toUpperCase());

function field(given) {
  const described = { name: given.fieldName, ...wireType(given.fieldType) };
  if (given.requireNonZero) described.required = true;
  if (given.fromMetadata) described.fromMetadata = camel(given.fromMetadata, "FROM_METADATA_");
  if (given.initialValue) described.initialValue = camel(given.initialValue, "INITIAL_VALUE_");
  return described;
}

function ttl({ source, field, durationSeconds }) {
  const described = { source: camel(source, "TTL_SOURCE_") };
  if (field) described.field = field;
  if (durationSeconds) described.durationSeconds = Number(durationSeconds);
  return described;
}

/** The schema as plain JSON, without field numbers: what the local server and the checks need. */
export function describe(compiled) {
  const items = {};
  for (const message of compiled.messages ?? []) {
    const options = message.itemTypeOptions;
    // The compiler accepts the same name twice.
    if (message.typeName in items) throw new CompileError(`two types are called ${message.typeName}`);
    items[message.typeName] = {
      keyPaths: (options?.keyPaths ?? []).map((path) => path.pathTemplate),
      ...(options?.ttl ? { ttl: ttl(options.ttl) } : {}),
      fields: (message.fields ?? []).map(field),
    };
  }
  const enums = {};
  for (const type of compiled.enums ?? []) {
    enums[type.typeName] = Object.fromEntries(type.values.map((value) => [value.shortName, value.ordinal ?? 0]));
  }
  const version = 1 + Math.max(0, ...compiled.migrations.map(fromVersionOf));
  return { version, enums, items };
}
