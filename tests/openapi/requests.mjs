// The product's requests to GitHub, one for each kind of successful answer. The numbers come from the fake's seed.

import { createSign } from "node:crypto";
import { readFileSync } from "node:fs";

const PRIVATE_KEY = readFileSync(new URL("../fakes/fixtures/app-private-key.pem", import.meta.url));
const DEADLINE_MS = 10_000;

/** All requests; `ids` holds a runner of each kind of target and the App's installation. */
export function requests(ids) {
  const app = { as: appToken() };
  return [
    get("/repos/acme/web/actions/runners?per_page=100", holds("runners", 5)),
    get("/repos/acme/web/actions/runners?per_page=2&page=2", holds("runners", 2)),
    get("/repos/acme/web/actions/runners?per_page=2&page=9", holds("runners", 0)),
    get("/repos/acme/web/actions/runners?name=warm-1", holds("runners", 1)),
    get("/repos/acme/empty/actions/runners", holds("runners", 0)),
    get("/orgs/acme/actions/runners", holds("runners", 2)),
    get("/orgs/acme/actions/runners?per_page=1&page=2", holds("runners", 1)),
    get("/enterprises/acme-corp/actions/runners?per_page=100", holds("runners", 100)),
    get("/enterprises/acme-corp/actions/runners?per_page=100&page=2", holds("runners", 30)),
    get(`/repos/acme/web/actions/runners/${ids.repository}`, names("build-1")),
    get(`/orgs/acme/actions/runners/${ids.organization}`, names("shared-1")),
    get(`/enterprises/acme-corp/actions/runners/${ids.enterprise}`, names("fleet-000")),
    get("/repos/acme/web/actions/runners/deprecations/2.336.0", ends("2026-11-05T08:04:55Z")),
    get("/orgs/acme/actions/runners/deprecations/2.336.0", ends("2026-11-05T08:04:55Z")),
    get("/enterprises/acme-corp/actions/runners/deprecations/2.337.0", ends(null)),
    get("/orgs/acme/actions/runner-groups?per_page=100&page=1", holds("runner_groups", 1)),
    get("/enterprises/acme-corp/actions/runner-groups?per_page=100&page=1", holds("runner_groups", 1)),
    get("/repos/acme/web/actions/jobs/42", (body) => body.labels.includes("gpu")),
    get("/repos/acme/web/actions/runs?status=queued&per_page=100&page=1", holds("workflow_runs", 1)),
    get("/repos/acme/web/actions/runs?status=in_progress&per_page=100&page=1", holds("workflow_runs", 0)),
    get("/repos/acme/web/actions/runs/7/jobs?filter=latest&per_page=100&page=1", holds("jobs", 1)),
    get("/app", (body) => body.events.includes("workflow_job"), app),
    // Every property of it is optional: no answer has the wrong shape.
    { ...get("/app/hook/config", (body) => body.url.startsWith("https://"), app), takesAnything: true },
    get("/app/hook/deliveries?per_page=30", (body) => body[0].event === "workflow_job", app),
    get("/repos/acme/web/hooks?per_page=100", (body) => body[0].events.includes("workflow_job")),
    get(`/repos/acme/web/hooks/${ids.repositoryHook}/deliveries?per_page=30`, (body) => body[0].status_code === 202),
    get("/orgs/acme/hooks?per_page=100", (body) => body[0].events.includes("workflow_job")),
    get(`/orgs/acme/hooks/${ids.organizationHook}/deliveries?per_page=30`, (body) => body.length === 2),
    get("/orgs/acme/repos?per_page=100", (body) => body.length === 42),
    get("/orgs/acme/repos?page=2", (body) => body.length === 12),
    get("/users/jo/repos", (body) => body.length === 1),
    get("/repos/acme/web/installation", (body) => body.id === ids.installation, app),
    get("/orgs/acme/installation", (body) => body.id === ids.installation, app),
    get("/users/jo/installation", (body) => body.target_type === "User", app),
    {
      ...get(`/app/installations/${ids.installation}/access_tokens`, (body) => body.token.length > 20, app),
      method: "POST",
      status: 201,
    },
    get("/rate_limit", (body) => body.rate.limit === 5000),
  ];
}

/** Reads the ids that `requests` needs from the fake. */
export async function readIds(base) {
  const first = async (path) => (await send(base, get(path))).body.runners[0].id;
  const firstHook = async (path) => (await send(base, get(path))).body[0].id;
  return {
    repository: await first("/repos/acme/web/actions/runners"),
    organization: await first("/orgs/acme/actions/runners"),
    enterprise: await first("/enterprises/acme-corp/actions/runners"),
    repositoryHook: await firstHook("/repos/acme/web/hooks"),
    organizationHook: await firstHook("/orgs/acme/hooks"),
    installation: (await send(base, get("/orgs/acme/installation", null, { as: appToken() }))).body.id,
  };
}

/** Sends a request and returns status and body; a body that is not JSON stays text. */
export async function send(base, { method, path, as }) {
  const headers = {
    accept: "application/vnd.github+json",
    authorization: `Bearer ${as}`,
    "user-agent": "openapi-check",
    "x-github-api-version": "2022-11-28",
  };
  const response = await fetch(base + path, { method, headers, signal: AbortSignal.timeout(DEADLINE_MS) });
  const text = await response.text();
  try {
    return { status: response.status, body: JSON.parse(text) };
  } catch {
    return { status: response.status, body: text };
  }
}

function get(path, isRight, { as = "test-token" } = {}) {
  return { method: "GET", path, as, isRight, status: 200 };
}

function holds(list, count) {
  return (body) => body[list].length === count;
}

function ends(at) {
  return (body) => body.runtime_deprecates_at === at;
}

function names(name) {
  return (body) => body.name === name;
}

function appToken() {
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const now = Math.floor(Date.now() / 1000);
  const signed = `${encode({ alg: "RS256", typ: "JWT" })}.${encode({ iss: "1", iat: now - 60, exp: now + 300 })}`;
  return `${signed}.${createSign("RSA-SHA256").update(signed).sign(PRIVATE_KEY, "base64url")}`;
}
