// The item types for the official client: what `stately schema generate` would write, built from schema/schema.json.
import { readFileSync } from "node:fs";

import { create, createFileRegistry } from "@bufbuild/protobuf";
import { FieldDescriptorProto_Label, FieldDescriptorProto_Type, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

const schema = JSON.parse(readFileSync(new URL("../../../../schema/schema.json", import.meta.url), "utf8"));
const packageName = "stately.generated";

function field({ number, name, type, repeated }) {
  const scalar = FieldDescriptorProto_Type[type.toUpperCase()];
  const kind = scalar ?? (type in schema.enums ? FieldDescriptorProto_Type.ENUM : FieldDescriptorProto_Type.MESSAGE);
  const typeName = scalar === undefined ? `.${packageName}.${type}` : undefined;
  const label = repeated ? FieldDescriptorProto_Label.REPEATED : FieldDescriptorProto_Label.OPTIONAL;
  return { number, name, jsonName: name, type: kind, typeName, label };
}

const file = {
  name: "stately.proto",
  package: packageName,
  syntax: "proto3",
  messageType: Object.entries(schema.items).map(([name, item]) => ({ name, field: item.fields.map(field) })),
  enumType: Object.entries(schema.enums).map(([name, values]) => ({
    name,
    value: Object.entries(values).map(([value, number]) => ({ name: `${name}_${value}`, number })),
  })),
};
const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: [file] }));

/** The version of the schema. */
export const schemaVersion = schema.version;

/** The fields of an item type, from the schema. */
export const fieldsOf = (itemType) => schema.items[itemType].fields;

/** The item types for `createClient`. */
export const itemTypeMap = Object.fromEntries(
  Object.keys(schema.items).map((name) => [name, registry.getMessage(`${packageName}.${name}`)]),
);
