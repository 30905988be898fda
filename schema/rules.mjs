// Faults that the compiler accepts but StatelyDB or the monitor would not.

const namespace = /^[A-Za-z_]+$/;
/** Field types that may be an id in a key path. */
const keyTypes = new Set(["string", "uint64", "uint32", "sint64", "sint32", "bytes"]);

/** A key path's segments: a namespace, and the field for its id if it has one. */
export function segments(path) {
  return path.split("/").slice(1).map((segment) => {
    const dash = segment.indexOf("-");
    if (dash < 0) return { namespace: segment, id: undefined };
    return { namespace: segment.slice(0, dash), id: segment.slice(dash + 1) };
  });
}

/** Every fault of a schema by itself, without its history. */
export function schemaFaults(schema) {
  const faults = [];
  const places = new Map();
  for (const [typeName, item] of Object.entries(schema.items)) {
    const fields = new Map(item.fields.map((field) => [field.name, field]));
    const inKeys = new Set();
    for (const path of item.keyPaths) {
      faults.push(...pathFaults(path, fields, schema.enums).map((fault) => `${typeName} ${path}: ${fault}`));
      segments(path).forEach(({ id }) => inKeys.add(id?.slice(1)));
      const place = path.replace(/:\w+/g, ":");
      if (places.has(place)) faults.push(`${typeName} ${path}: ${places.get(place)} has the same key path`);
      places.set(place, typeName);
    }
    for (const field of item.fields) {
      const where = `${typeName}.${field.name}`;
      // JSON uses a field's name as declared; generated code may spell a name with underscores differently.
      if (!/^[a-z][A-Za-z0-9]*$/.test(field.name)) faults.push(`${where}: must be lowerCamelCase`);
      const neverZero = inKeys.has(field.name) || field.type in schema.enums;
      if (field.required && !neverZero) faults.push(`${where}: must not be required: zero and empty are valid values`);
    }
    faults.push(...ttlFaults(typeName, item.ttl, fields));
  }
  for (const [name, values] of Object.entries(schema.enums)) {
    const numbers = Object.values(values);
    if (new Set(numbers).size < numbers.length) faults.push(`${name}: two values have the same number`);
  }
  return faults;
}

function pathFaults(path, fields, enums) {
  const faults = [];
  const parts = segments(path);
  if (!path.startsWith("/")) faults.push("must begin with a slash");
  parts.forEach(({ namespace: name, id }, index) => {
    if (!namespace.test(name)) faults.push(`\`${name}\` is not a namespace: use letters and underscores only`);
    if (id === undefined) {
      if (index === 0 || index < parts.length - 1) faults.push(`\`${name}\` needs an id: only the last segment may omit it, and never the first`);
      return;
    }
    const field = id.startsWith(":") ? fields.get(id.slice(1)) : undefined;
    if (!field) faults.push(`\`${id}\` names no field`);
    else if (field.repeated || !(keyTypes.has(field.type) || field.type in enums)) faults.push(`\`${id}\` cannot be a key`);
    else if (!field.required && !field.initialValue) faults.push(`\`${id}\` may be empty`);
  });
  return faults;
}

function ttlFaults(typeName, ttl, fields) {
  if (!ttl) return [];
  // Any other source would eventually delete an outage that is still open.
  if (ttl.source !== "atTimestamp") return [`${typeName}: must not expire by age alone; use atTimestamp with a field`];
  const field = fields.get(ttl.field);
  if (!field?.timestamp) return [`${typeName}: expires at \`${ttl.field}\`, which is not a timestamp`];
  return field.required ? [`${typeName}: \`${ttl.field}\` must not be required: every item would expire`] : [];
}

/** Faults in the migrations, and changes since the first version that no migration covers. */
export function migrationFaults(migrations, schema, ledger) {
  const faults = [];
  const added = new Set();
  for (const { fromSchemaVersion: from = 0, name: title, commands = [] } of migrations) {
    for (const { typeName, actions = [] } of commands) {
      for (const action of actions) {
        const [[kind, given]] = Object.entries(action);
        if (kind === "addField") added.add(`${typeName}.${given.name}@${from + 1}`);
        if (kind === "addType") added.add(`${typeName}@${from + 1}`);
        const fault = actionFault(kind, given, typeName, schema);
        if (fault) faults.push(`migration ${from} "${title}": ${fault}`);
      }
    }
  }
  const versions = new Set(migrations.map((migration) => migration.fromSchemaVersion));
  for (let version = 1; version < schema.version; version += 1) {
    if (!versions.has(version)) faults.push(`there is no migration from version ${version}`);
  }
  for (const [typeName, entries] of Object.entries(ledger.types)) {
    for (const [name, { since }] of Object.entries(entries)) {
      const isAdded = since === 1 || added.has(`${typeName}.${name}@${since}`) || added.has(`${typeName}@${since}`);
      if (!isAdded) faults.push(`${typeName}.${name} is new in version ${since}, but no migration from ${since - 1} adds it`);
    }
  }
  return faults;
}

function actionFault(kind, given, typeName, schema) {
  const item = schema.items[typeName];
  const values = schema.enums[typeName];
  const known = item ?? values;
  if (kind === "removeType") return known && `removes ${typeName}, which is in the schema`;
  if (kind === "renameType") return !(given.newName in { ...schema.items, ...schema.enums }) && `${given.newName} is not a type`;
  if (!known) return `${typeName} is not a type`;
  const field = (name) => item?.fields.some((candidate) => candidate.name === name);
  switch (kind) {
    case "addType":
      return undefined;
    case "addField":
    case "markFieldAsRequired":
    case "markFieldAsNotRequired":
    case "modifyFieldReadDefault":
      return !field(given.name) && `${typeName} has no field ${given.name}`;
    case "removeField":
      return field(given.name) && `removes ${typeName}.${given.name}, which is in the schema`;
    case "renameField":
      // The monitor's own field table and the ledger identify fields by name.
      return "fields must not be renamed: add a new one and keep the old";
    case "addKeyPath":
      return !item?.keyPaths.includes(given.keyPath) && `${typeName} has no key path ${given.keyPath}`;
    case "removeKeyPath":
      return item?.keyPaths.includes(given.keyPath) && `removes ${given.keyPath}, which is in the schema`;
    case "addEnumValue":
    case "renameEnumValue":
      return !(given.newValueName in (values ?? {})) && `${typeName} has no value ${given.newValueName}`;
    case "removeEnumValue":
      return (given.oldValueName ?? given.name) in (values ?? {}) && `removes a value that is in the schema`;
    default:
      return `${kind} is an action that this check does not know`;
  }
}
