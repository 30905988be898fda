// A GitHub with a fleet of difficult names, and a store file that the program fills from it.

import { execFile } from "node:child_process";
import { createServer } from "node:http";
import { join } from "node:path";
import { promisify } from "node:util";

import { PROGRAM, startPage, temporaryFolder } from "./programs.mjs";

export const SCRIPT_NAME = `<script>alert("x")</script>`;
export const LONG_NAME = "ip-10-0-12-34.eu-central-1.compute.internal-0123456789abcdef0123";
const LONG_LABEL = "a-label-of-an-autoscaling-group-without-any-place-to-break-it-012345";
const LONG_TARGET = "acme/a-repository-with-a-name-of-nearly-the-hundred-characters-that-github-allows-for-it-0123456789";
const REPOSITORIES = ["acme/web", "acme/gone", "acme/empty", LONG_TARGET];
const CHECKS = 3;
const DEADLINE_MS = 60_000;
// One check opens an outage and one closes it, but some runners stay suspects.
const POLICY = {
  failureThreshold: 1,
  successThreshold: 1,
  runners: { "long-*": { failureThreshold: 9 } },
  pools: { gpu: { minimumOnline: 2 } },
};

function runner(id, name, { status = "online", busy = false, labels = [], version = "2.331.0" } = {}) {
  const all = ["self-hosted", "Linux", "X64", ...labels];
  return {
    id,
    name,
    os: "Linux",
    status,
    busy,
    ephemeral: false,
    version,
    labels: all.map((label, index) => ({ id: index + 1, name: label, type: index < 3 ? "read-only" : "custom" })),
  };
}

/** The registered runners by target. Some go offline after the first check, one returns, and a target is lost. */
function fleet(round) {
  const later = round > 0 ? "offline" : "online";
  const once = round === 1 ? "offline" : "online";
  return {
    "/repos/acme/web": [
      runner(1, "web-1", { labels: ["web"] }),
      runner(2, "web-2", { status: later, busy: true, labels: ["web"] }),
      runner(3, SCRIPT_NAME, { status: later, labels: [`<b onclick="x">&amp;'`] }),
      runner(4, LONG_NAME, { status: later, labels: [LONG_LABEL] }),
      runner(5, "=1+1, \"quoted\"", { status: later }),
      runner(6, "turned \u202e round", { busy: true }),
      runner(7, "läufer-7", { status: once }),
      runner(10, "last-10", { status: round >= CHECKS ? "offline" : "online" }),
      ...Array.from({ length: 7 }, (_, index) => runner(11 + index, `spare-${index}`)),
    ],
    [`/repos/${LONG_TARGET}`]: [runner(20, "long-1"), runner(21, "long-2", { status: later })],
    "/repos/acme/gone": round > 0 ? null : [runner(30, "gone-1")],
    "/repos/acme/empty": [],
    "/orgs/acme": [
      runner(40, "gpu-1", { labels: ["gpu"] }),
      runner(41, "gpu-2", { labels: ["gpu"], status: later }),
      ...Array.from({ length: 12 }, (_, index) => runner(50 + index, `shared-${index}`, { busy: index % 3 === 0 })),
    ],
  };
}

function startGitHub(round) {
  const server = createServer((request, response) => {
    const [, target] = request.url.match(/^(.*)\/actions\/runners(?:\?|$)/) ?? [];
    const runners = fleet(round.is)[target];
    const [, version] = request.url.match(/\/deprecations\/([\d.]+)$/) ?? [];
    const body = version
      ? { runner_version: version, runtime_deprecates_at: new Date(Date.now() + 7 * 86_400_000).toISOString() }
      : runners && { total_count: runners.length, runners };
    response.writeHead(body ? 200 : 404, { "content-type": "application/json; charset=utf-8" });
    response.end(JSON.stringify(body ?? { message: "Not Found", status: "404" }));
  });
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}

/** Fills a store file with the results of some checks. `check` makes one more, which finds one more runner offline. */
export async function fillStore() {
  const round = { is: 0 };
  const server = await startGitHub(round);
  const store = join(temporaryFolder(), "store.db");
  const env = {
    PATH: process.env.PATH,
    GITHUB_API_URL: `http://127.0.0.1:${server.address().port}`,
    GITHUB_TOKEN: "test-token",
    ALLOW_HTTP_HOSTS: "127.0.0.1",
    POLICY: JSON.stringify(POLICY),
    REPOS: REPOSITORIES.join(","),
    ORGANIZATIONS: "acme",
  };
  const check = async () => {
    const checked = promisify(execFile)(PROGRAM, ["check", "--store", store, "--fail-on", "version-ends=14d"], { env, timeout: DEADLINE_MS });
    // It ends with 1 or 2 because runners are offline and a target is unreachable, which is meant.
    await checked.catch((error) => {
      if (error.code !== 1 && error.code !== 2) throw error;
    });
    round.is += 1;
  };
  while (round.is < CHECKS) await check();
  // Nothing waits for it, so it ends with the test.
  server.unref();
  return { store, check };
}

/** The page of such a store. */
export async function serveStore() {
  const { store, check } = await fillStore();
  return { ...(await startPage("web", "127.0.0.1:0", "--store", store)), check };
}
