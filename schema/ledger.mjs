// The wire numbers of fields. The first ones follow declaration order; every later field takes the next number, and no
// number is ever reused.

/** The ledger with new fields and enum values appended; existing lines stay unchanged. */
export function extended(ledger, schema) {
  const types = structuredClone(ledger.types);
  for (const [typeName, item] of Object.entries(schema.items)) {
    const entries = (types[typeName] ??= {});
    for (const field of item.fields) {
      entries[field.name] ??= { number: nextNumber(entries), type: typeText(field), since: schema.version };
    }
  }
  const enums = structuredClone(ledger.enums);
  for (const [name, values] of Object.entries(schema.enums)) enums[name] = { ...values, ...enums[name] };
  return { published: ledger.published ?? 0, types, enums };
}

const nextNumber = (entries) => 1 + Math.max(0, ...Object.values(entries).map((entry) => entry.number));

/** A field's type as the ledger writes it. */
export const typeText = (field) => (field.repeated ? `repeated ${field.type}` : field.type);

/** Every mismatch between a schema and its ledger. */
export function ledgerFaults(ledger, schema) {
  const faults = [];
  for (const [typeName, entries] of Object.entries(ledger.types)) {
    faults.push(...numberFaults(typeName, entries));
    const fields = schema.items[typeName]?.fields ?? [];
    for (const [name, entry] of Object.entries(entries)) {
      const field = fields.find((candidate) => candidate.name === name);
      if (!field && !entry.removed) faults.push(`${typeName}.${name} is in the ledger but no longer in schema.ts`);
      if (field && entry.removed) faults.push(`${typeName}.${name} was removed: its name must not be used again`);
      if (field && typeText(field) !== entry.type) {
        faults.push(`${typeName}.${name} is ${entry.type} in the ledger but ${typeText(field)} in schema.ts`);
      }
    }
  }
  for (const [typeName, item] of Object.entries(schema.items)) {
    const entries = ledger.types[typeName] ?? {};
    const numbers = item.fields.map((field) => entries[field.name]?.number);
    item.fields.forEach((field, index) => {
      if (numbers[index] === undefined) {
        faults.push(`${typeName}.${field.name} has no number yet: run \`node check.mjs --write\` to give it one`);
      } else if (index > 0 && numbers[index] <= numbers[index - 1]) {
        faults.push(`${typeName}.${field.name} is out of number order: declare new fields at the end`);
      }
    });
  }
  for (const [name, values] of Object.entries(ledger.enums)) {
    for (const [value, number] of Object.entries(values)) {
      const now = schema.enums[name]?.[value];
      if (now !== number) faults.push(`${name}.${value} is ${number} in the ledger but ${now} in schema.ts`);
    }
  }
  for (const [name, values] of Object.entries(schema.enums)) {
    for (const value of Object.keys(values)) {
      if (ledger.enums[name]?.[value] === undefined) faults.push(`${name}.${value} is not in the ledger yet`);
    }
  }
  return faults;
}

function numberFaults(typeName, entries) {
  const faults = [];
  const taken = new Map();
  for (const [name, { number }] of Object.entries(entries)) {
    if (taken.has(number)) faults.push(`${typeName}: ${taken.get(number)} and ${name} have the same number ${number}`);
    taken.set(number, name);
    if (!Number.isInteger(number) || number < 1) faults.push(`${typeName}.${name} must have a whole number from 1`);
  }
  for (let number = 1; number <= taken.size; number += 1) {
    if (!taken.has(number)) faults.push(`${typeName}: number ${number} is missing`);
  }
  return faults;
}

/**
 * What a ledger has lost or altered since an earlier one. Until a version is published, nothing depends on its numbers
 * and names.
 */
export function alterations(earlier, ledger) {
  if (!earlier.published) return [];
  const faults = [];
  if (!(ledger.published >= earlier.published)) faults.push(`version ${earlier.published} was published, but the ledger no longer says so`);
  for (const [typeName, entries] of Object.entries(earlier.types)) {
    for (const [name, entry] of Object.entries(entries)) {
      const now = ledger.types[typeName]?.[name];
      const same = now && now.number === entry.number && now.type === entry.type && now.since === entry.since;
      if (!same || (entry.removed && !now.removed)) faults.push(`the ledger's line for ${typeName}.${name} was altered`);
    }
  }
  for (const [name, values] of Object.entries(earlier.enums)) {
    for (const [value, number] of Object.entries(values)) {
      if (ledger.enums[name]?.[value] !== number) faults.push(`the ledger's line for ${name}.${value} was altered`);
    }
  }
  return faults;
}
