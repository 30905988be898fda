// The files derived from schema.ts and its ledger: schema.json for programs, FIELDS.md for people.
import { typeText } from "./ledger.mjs";

/** The schema with field numbers. */
export function numbered(schema, ledger) {
  const items = Object.entries(schema.items).map(([typeName, item]) => {
    const fields = item.fields.map((field) => ({ number: ledger.types[typeName][field.name].number, ...field }));
    return [typeName, { ...item, fields }];
  });
  return { ...schema, items: Object.fromEntries(items) };
}

const wireWords = { sint64: "sint64 (zigzag)", sint32: "sint32 (zigzag)" };

function remarks(field) {
  const words = [];
  if (field.timestamp) words.push(`${field.timestamp} since 1970`);
  if (field.required) words.push("never zero");
  if (field.fromMetadata) words.push(`set by the service: ${field.fromMetadata}`);
  if (field.initialValue) words.push(`given by the service: ${field.initialValue}`);
  return words.join("; ");
}

/** The field table for people. */
export function asMarkdown(schema, ledger) {
  const parts = ["# Field numbers\n\nWritten by `node check.mjs --write` from schema.ts and fields.ledger.json.\n"];
  parts.push(`Schema version ${schema.version}.\n`);
  for (const [typeName, item] of Object.entries(schema.items)) {
    const lines = item.fields.map((field) => {
      const type = typeText(field).replace(field.type, wireWords[field.type] ?? field.type);
      return `| ${ledger.types[typeName][field.name].number} | ${field.name} | ${type} | ${remarks(field)} |`;
    });
    const paths = item.keyPaths.map((path) => `\`${path}\``).join(", ");
    const ttl = item.ttl ? `\n\nExpires: ${item.ttl.source}, ${item.ttl.field ?? `${item.ttl.durationSeconds} s`}.` : "";
    parts.push(`## ${typeName}\n\n${paths}${ttl}\n\n| number | field | type | |\n|---|---|---|---|\n${lines.join("\n")}\n`);
  }
  for (const [name, values] of Object.entries(schema.enums)) {
    const lines = Object.entries(values).map(([value, number]) => `| ${number} | ${value} |`);
    parts.push(`## ${name}\n\n| number | value |\n|---|---|\n${lines.join("\n")}\n`);
  }
  return parts.join("\n");
}
