// The program's OpenAPI document as a check of answers, and as a list of what has to occur among them.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { Validator } from "@seriousme/openapi-schema-validator";
import Ajv2020 from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

export const FILE = fileURLToPath(new URL("../../shared/web/src/openapi.json", import.meta.url));

export class Document {
  constructor() {
    /** As the file has it. */
    this.source = readFileSync(FILE, "utf8");
    this.text = JSON.parse(this.source);
    this.ajv = new Ajv2020({ strict: true, allErrors: true });
    addFormats(this.ajv);
    // Schemas refer to each other by their place in the document.
    for (const keyword of Object.keys(this.text)) this.ajv.addKeyword(keyword);
    this.ajv.addSchema(this.text, "document");
    this.validators = new Map();
    this.statuses = new Set();
    this.properties = new Set();
  }

  /** The faults of the document itself. */
  async faults() {
    const { valid, errors } = await new Validator().validate(structuredClone(this.text));
    const faults = valid ? [] : [`no OpenAPI document: ${JSON.stringify(errors)}`];
    for (const [place, schema] of this.objects()) {
      if (schema.additionalProperties !== false) faults.push(`${place} does not exclude other properties`);
      const unknown = (schema.required ?? []).filter((name) => !(name in schema.properties));
      if (unknown.length > 0) faults.push(`${place} requires ${unknown}, which it does not have`);
    }
    return faults;
  }

  /** The faults of an answer. */
  faultsOf({ path, status, headers, body }) {
    const template = Object.keys(this.text.paths).find((known) => pattern(known).test(path.split("?")[0]));
    const response = template && this.resolve(this.text.paths[template].get.responses[status]);
    if (!response) return [`status ${status} is not documented`];
    this.statuses.add(`${template} ${status}`);
    const faults = [];
    for (const [name, reference] of Object.entries(response.headers ?? {})) {
      const { required, schema } = this.resolve(reference);
      const value = headers[name.toLowerCase()];
      if (value === undefined ? required : !new RegExp(schema.pattern).test(value)) faults.push(`${name} is ${value}`);
    }
    const types = Object.keys(response.content ?? {});
    if (types.length === 0) return body === "" ? faults : [...faults, "it has a body"];
    const [type] = types;
    if (headers["content-type"]?.split(";")[0] !== type) return [...faults, `its type is ${headers["content-type"]}`];
    const content = type === "application/json" ? JSON.parse(body) : body;
    const { schema } = response.content[type];
    const validate = this.validator(schema);
    if (!validate(content)) {
      faults.push(...validate.errors.map((error) => `${error.instancePath} ${error.message} ${JSON.stringify(error.params)}`));
    }
    this.mark(schema, content);
    return faults;
  }

  /** The documented statuses and properties that no answer had. */
  missing() {
    const statuses = Object.entries(this.text.paths).flatMap(([path, { get }]) =>
      Object.keys(get.responses).map((status) => `${path} ${status}`),
    );
    const properties = this.objects().flatMap(([place, schema]) =>
      Object.keys(schema.properties).map((name) => `${place}.${name}`),
    );
    return [
      ...statuses.filter((each) => !this.statuses.has(each)),
      ...properties.filter((each) => !this.properties.has(each)),
    ];
  }

  /** Every object schema with its place: none is deeper than the items of a list. */
  objects() {
    const found = [];
    const visit = (place, schema) => {
      if (schema.type === "object") found.push([place, schema]);
      for (const [name, inner] of Object.entries(schema.properties ?? {})) visit(`${place}.${name}`, inner);
      if (schema.items) visit(`${place}[]`, schema.items);
    };
    for (const [name, schema] of Object.entries(this.text.components.schemas)) visit(name, schema);
    return found;
  }

  validator(schema) {
    const key = schema.$ref ?? JSON.stringify(schema);
    if (!this.validators.has(key)) {
      const absolute = schema.$ref ? { $ref: `document${schema.$ref}` } : schema;
      this.validators.set(key, this.ajv.compile(absolute));
    }
    return this.validators.get(key);
  }

  mark(schema, value, place) {
    if (schema.$ref) return this.mark(this.resolve(schema), value, schema.$ref.split("/").at(-1));
    if (Array.isArray(value)) return value.forEach((each) => this.mark(schema.items ?? {}, each, `${place}[]`));
    if (value === null || typeof value !== "object") return undefined;
    for (const [name, inner] of Object.entries(value)) {
      this.properties.add(`${place}.${name}`);
      this.mark(schema.properties?.[name] ?? {}, inner, `${place}.${name}`);
    }
    return undefined;
  }

  resolve(node) {
    if (!node?.$ref) return node;
    return node.$ref.slice(2).split("/").reduce((inner, key) => inner[key], this.text);
  }
}

/** The pattern of a path's addresses. Only a target has a slash in it. */
function pattern(path) {
  return new RegExp(`^${path.replace("{target}", ".+").replaceAll(/\{\w+\}/g, "[^/]+")}$`);
}
