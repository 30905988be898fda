// GitHub's OpenAPI description, reduced to the product's requests: Prism takes minutes to read all of it.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

// Enterprise Cloud's description: the only one with the enterprise paths and all the others.
const SOURCE = new URL("node_modules/@octokit/openapi/generated/ghec.json", import.meta.url);
const BUILD = new URL("build/", import.meta.url);

export const OPERATIONS = [
  ["get", "/repos/{owner}/{repo}/actions/runners"],
  ["get", "/repos/{owner}/{repo}/actions/runners/{runner_id}"],
  ["get", "/repos/{owner}/{repo}/actions/runners/deprecations/{version}"],
  ["get", "/repos/{owner}/{repo}/actions/jobs/{job_id}"],
  ["get", "/repos/{owner}/{repo}/actions/runs"],
  ["get", "/repos/{owner}/{repo}/actions/runs/{run_id}/jobs"],
  ["get", "/app"],
  ["get", "/app/hook/config"],
  ["get", "/app/hook/deliveries"],
  ["get", "/repos/{owner}/{repo}/hooks"],
  ["get", "/repos/{owner}/{repo}/hooks/{hook_id}/deliveries"],
  ["get", "/orgs/{org}/hooks"],
  ["get", "/orgs/{org}/hooks/{hook_id}/deliveries"],
  ["get", "/orgs/{org}/actions/runners"],
  ["get", "/orgs/{org}/actions/runners/{runner_id}"],
  ["get", "/orgs/{org}/actions/runners/deprecations/{version}"],
  ["get", "/enterprises/{enterprise}/actions/runners"],
  ["get", "/enterprises/{enterprise}/actions/runners/{runner_id}"],
  ["get", "/enterprises/{enterprise}/actions/runners/deprecations/{version}"],
  ["get", "/orgs/{org}/actions/runner-groups"],
  ["get", "/enterprises/{enterprise}/actions/runner-groups"],
  ["get", "/orgs/{org}/repos"],
  ["get", "/users/{username}/repos"],
  ["get", "/repos/{owner}/{repo}/installation"],
  ["get", "/orgs/{org}/installation"],
  ["get", "/users/{username}/installation"],
  ["post", "/app/installations/{installation_id}/access_tokens"],
  ["get", "/rate_limit"],
];

/** Writes the reduced description and returns its path. */
export function writeDescription() {
  const whole = JSON.parse(readFileSync(SOURCE, "utf8"));
  const paths = {};
  for (const [method, path] of OPERATIONS) {
    const operation = whole.paths[path]?.[method];
    if (!operation) {
      throw new Error(`GitHub's description no longer has ${method.toUpperCase()} ${path}`);
    }
    paths[path] = { ...paths[path], [method]: operation };
  }
  const description = { openapi: whole.openapi, info: whole.info, servers: whole.servers, paths };
  copyReferenced(whole, description, paths, new Set());
  fixForPrism(description);

  mkdirSync(BUILD, { recursive: true });
  const target = fileURLToPath(new URL("github.json", BUILD));
  writeFileSync(target, JSON.stringify(description));
  return target;
}

function copyReferenced(whole, description, part, seen) {
  if (part === null || typeof part !== "object") return;
  const reference = part.$ref;
  if (typeof reference === "string" && !seen.has(reference)) {
    seen.add(reference);
    const [, , kind, name] = reference.split("/");
    const found = whole.components[kind][name];
    description.components ??= {};
    description.components[kind] ??= {};
    description.components[kind][name] = found;
    copyReferenced(whole, description, found, seen);
  }
  for (const child of Object.values(part)) copyReferenced(whole, description, child, seen);
}

/** Works around limits of Prism. Nothing that GitHub describes becomes less strict. */
function fixForPrism(part) {
  if (part === null || typeof part !== "object") return;
  // Prism cannot compile a schema with `nullable` but without `type`, and then accepts every answer.
  if (part.nullable === true && part.anyOf && !part.type) part.type = "object";
  // GitHub accepts its own media type in `Accept`. The description omits it, so Prism's mock would answer 406.
  const json = part.content?.["application/json"];
  if (json) part.content["application/vnd.github+json"] = json;
  for (const child of Object.values(part)) fixForPrism(child);
}
