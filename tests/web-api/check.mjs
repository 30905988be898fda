// Checks every answer of the API with the program's OpenAPI document: node tests/web-api/check.mjs PROGRAM SCHEMATHESIS
// The JSON Schema of the configuration file is checked as well. Each path and status of the document has to occur, and each property, so that it describes nothing that does not exist.

import { createHmac } from "node:crypto";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

import Ajv2020 from "ajv/dist/2020.js";

import { Document, FILE } from "./document.mjs";
import { get, run, serve, start, startGitHub } from "./programs.mjs";

const [program, schemathesis] = process.argv.slice(2);
if (!schemathesis) {
  console.error("usage: node check.mjs PROGRAM SCHEMATHESIS");
  process.exit(2);
}

/** The JSON Schema of the configuration file: it compiles, takes what is sound, and refuses what the program refuses. */
async function checkConfigSchema() {
  const { text } = await run(program, ["config", "schema"]);
  const isSound = new Ajv2020({ strict: true, allowUnionTypes: true, allErrors: true }).compile(JSON.parse(text));
  const sound = [
    { github_token: "@/run/token", repos: ["acme/web"], organizations: "acme", check_interval: "2m", github_app_id: 1 },
    { policy: { failureThreshold: 2, repeatInterval: 0, pools: { gpu: { minimumOnline: "50%", alert: "pool" } } } },
    { policy: { jobs: { poll: ["acme/web"] }, report: { day: "monday", hour: 9 } } },
    { policy: { targets: { "acme/web": { recheckInterval: "30s", ignore: ["x-*"] } }, runners: { "a*": { channel: "#a" } } } },
  ];
  const wrong = [
    { repositories: ["acme/web"] },
    { repos: [1] },
    { policy: { failureTreshold: 2 } },
    { policy: { failureThreshold: 21 } },
    { policy: { runners: { "a*": { recheckInterval: "30s" } } } },
    { policy: { pools: { gpu: {} } } },
    { policy: { jobs: { poll: "acme/web" } } },
    { policy: { flapWindow: "1 hour" } },
  ];
  for (const each of sound) if (!isSound(each)) faults.add(`config schema refuses ${JSON.stringify(each)}: ${JSON.stringify(isSound.errors)}`);
  for (const each of wrong) if (isSound(each)) faults.add(`config schema takes ${JSON.stringify(each)}`);
}

/** An address of each path, below /api/v1. */
const PATHS = ["fleet", "outages", "runners/1/acme/web"];

const began = Date.now();
const document = new Document();
const faults = new Set(await document.faults());
let answers = 0;

/** Asks, checks the answer with the document, and returns it. */
async function ask(url, path, headers) {
  const answer = await get(url, path, headers);
  answers += 1;
  for (const fault of document.faultsOf(answer)) faults.add(`GET ${path}: ${answer.status}: ${fault}`);
  return answer;
}

/** Asks, and asks again with the ETag of the answer. */
async function askTwice(url, path) {
  const answer = await ask(url, path);
  if (answer.headers.etag) await ask(url, path, { "if-none-match": answer.headers.etag });
  return answer.status === 200 ? JSON.parse(answer.body) : undefined;
}

async function expect(status, url, path, headers) {
  const answer = await ask(url, path, headers);
  if (answer.status !== status) faults.add(`GET ${path}: ${answer.status} instead of ${status}`);
}

/** Every path with what the store has at the moment. Returns the outages. */
async function askAll(url) {
  const fleet = await askTwice(url, "/api/v1/fleet");
  const outages = await askTwice(url, "/api/v1/outages?q=&state=&days=0");
  const found = new Set(outages?.outages.map(({ target, outage }) => `${outage.runnerId}/${target}`));
  for (const { target, runners } of fleet?.targets ?? []) runners.forEach(({ id }) => found.add(`${id}/${target}`));
  for (const each of found) await askTwice(url, `/api/v1/runners/${each}`);
  return outages?.outages.map(({ outage }) => outage) ?? [];
}

/** What is refused, and what the parameters find. */
async function askWrongly(url) {
  for (const query of ["page=x", "page=-1", "days=", "days=-1", "days=4294967296", "state=open&state=past"]) {
    await expect(400, url, `/api/v1/outages?${query}`);
  }
  for (const path of ["x/acme/web", "-1/acme/web", "1/acme/%FF"]) await expect(400, url, `/api/v1/runners/${path}`);
  for (const path of ["1/acme/web", "1/acme%2Fweb", "1/acme/none", "1/acme"]) await expect(404, url, `/api/v1/runners/${path}`);
  for (const path of PATHS) {
    await expect(421, url, `/api/v1/${path}`, { host: "elsewhere.test" });
  }
  const found = async (query) => JSON.parse((await ask(url, `/api/v1/outages?${query}`)).body).outages;
  const rules = [
    ["state=open", ({ outage }) => !outage.ending],
    ["state=past", ({ outage }) => outage.ending],
    ["q=gpu+ACME&days=1&page=7", ({ outage }) => outage.labels.includes("gpu")],
  ];
  for (const [query, isRight] of rules) {
    const outages = await found(query);
    if (outages.length === 0 || !outages.every(isRight)) faults.add(`?${query} finds ${JSON.stringify(outages)}`);
  }
}

/** Requests that nobody thought of, the same ones each time. */
async function askAtRandom(url) {
  const phases = ["--phases", "examples,coverage,fuzzing", "--max-examples", "100", "--generation-deterministic"];
  const words = ["run", FILE, "--url", url, ...phases, "--continue-on-failure", "--no-color"];
  // It leaves files where it runs.
  const folder = mkdtempSync(join(tmpdir(), "web-api-"));
  try {
    const { code, text } = await run(resolve(schemathesis), words, {}, folder);
    if (code !== 0) faults.add(`schemathesis ended with ${code}:\n${text}`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A demo from its start to its end. */
async function checkDemo() {
  const { url, ended } = await serve(program, ["demo", "--web", "127.0.0.1:0"]);
  const served = await get(url, "/api/v1/openapi.json");
  if (served.body !== document.source) faults.add("the program serves another document: build it again");
  let exit;
  let refusals = 0;
  let isAsked = false;
  ended.then((code) => (exit = code));
  while (exit === undefined) {
    try {
      const outages = await askAll(url);
      const isOfToday = ({ startedAt }) => Date.now() - Date.parse(startedAt) < 86_400_000;
      const gpu = (outage) => outage.labels.includes("gpu") && isOfToday(outage);
      const [open, past] = [({ ending }) => !ending, ({ ending }) => ending];
      // The parameters can be checked once there is something that each finds, and something that it does not find.
      if (!isAsked && [open, past, gpu].every((kind) => outages.some(kind))) {
        isAsked = true;
        await askWrongly(url);
        await askAtRandom(url);
      }
    } catch (error) {
      // The demo stops serving a moment before it ends.
      refusals += 1;
      if (!error.code || refusals > 20) throw error;
    }
    await pause(500);
  }
  if (exit !== 0) faults.add(`the demo ended with ${exit}`);
}

const WEBHOOK_SECRET = "notasecret";

/** Reports that a job waits, as GitHub's webhook does. */
async function reportJob(address, id, labels, runner) {
  const body = JSON.stringify({
    action: runner ? "in_progress" : "queued",
    workflow_job: {
      id,
      name: "train",
      workflow_name: "Nightly",
      html_url: `https://github.com/acme/web/actions/runs/7/job/${id}`,
      status: runner ? "in_progress" : "queued",
      labels,
      created_at: new Date(began - 1_200_000).toISOString(),
      started_at: new Date(began).toISOString(),
      runner_name: runner ?? null,
    },
    repository: { full_name: "acme/web" },
  });
  const signature = createHmac("sha256", WEBHOOK_SECRET).update(body).digest("hex");
  const headers = { "x-github-event": "workflow_job", "x-hub-signature-256": `sha256=${signature}` };
  const report = async () => (await fetch(`http://${address}/`, { method: "POST", headers, body })).status;
  let status = await report();
  // Before its first tick the monitor knows no target.
  for (const until = Date.now() + 30_000; status === 503 && Date.now() < until; await pause(100)) status = await report();
  if (status !== 202) faults.add(`the report of a job was answered with ${status}`);
}

/** Labels that only the runners of one state have. GitHub knows no job here, so none is confirmed. */
const QUEUES = { noRunner: "arm", offline: "gpu", versionEnded: "old", busy: "busy", idle: "idle" };

/** Runs the monitor on a store until the page at `url` has the alert that its bot sent, and the jobs that wait. */
async function sendAlerts(url, store, environment, answers) {
  answers["/api/chat.postMessage"] = { ok: true, channel: "C024BE91L", ts: "1800000000.000700" };
  const slack = { SLACK_BOT_TOKEN: "xoxb-1-2-notasecret", SLACK_CHANNEL: "C024BE91L", SLACK_API_URL: `${environment.GITHUB_API_URL}/api` };
  const repositories = { REPOS: "acme/web,acme/none", GITHUB_WEBHOOK_SECRET: WEBHOOK_SECRET };
  const words = ["run", "--every", "10s", "--webhooks", "127.0.0.1:0", "--store", store];
  const { stop, printed } = start(program, words, { ...environment, ...slack, ...repositories });
  const address = await printed(/receiving reports of workflow jobs.*?(127\.0\.0\.1:\d+)/);
  let id = 100;
  for (const label of Object.values(QUEUES)) await reportJob(address, (id += 1), ["self-hosted", label]);
  const until = Date.now() + 60_000;
  const wanted = ['"alert"', ...Object.keys(QUEUES).map((why) => `"why":"${why}"`)];
  const isWanted = ({ body }) => wanted.every((text) => body.includes(text));
  while (!isWanted(await get(url, "/api/v1/outages")) && Date.now() < until) await pause(200);
  // A runner that runs a job, and then goes offline.
  await reportJob(address, 200, ["self-hosted", "busy"], "build-4");
  const has = async (path, text) => (await get(url, path)).body.includes(text);
  while (!(await has("/api/v1/fleet", '"job":')) && Date.now() < until) await pause(200);
  await askAll(url);
  Object.assign(answers["/repos/acme/web/actions/runners"].runners[3], { status: "offline", busy: false });
  while (!(await has("/api/v1/outages", '"job":')) && Date.now() < until) await pause(200);
  await askAll(url);
  await stop();
}

/** A store of which the demo has no example: a pool, a version that has ended, a target that is unreachable; sessions; then a broken file. */
async function checkStore() {
  const folder = mkdtempSync(join(tmpdir(), "web-api-"));
  try {
    const store = join(folder, "store.db");
    const runner = (id, status, rest) => ({
      id,
      name: `build-${id}`,
      os: "linux",
      status,
      busy: false,
      ephemeral: false,
      version: "2.300.0",
      labels: [{ name: "self-hosted", type: "read-only" }, { name: "gpu", type: "custom" }],
      ...rest,
    });
    const labelled = (name) => [{ name: "self-hosted", type: "read-only" }, { name, type: "custom" }];
    const list = (status) => {
      const runners = [
        runner(1, status),
        runner(2, status, { version: "2.337.0", ephemeral: true }),
        runner(3, status, { labels: labelled("old") }),
      ];
      return { total_count: runners.length, runners };
    };
    const alone = (status) => ({ total_count: 1, runners: [runner(9, status)] });
    // An end that is long past is no reason for an outage that begins now.
    const ended = { runner_version: "2.300.0", runtime_deprecates_at: new Date(began - 60_000).toISOString() };
    const github = {
      "/repos/acme/web/actions/runners": list("online"),
      "/repos/acme/api/actions/runners": alone("online"),
      "/repos/acme/app/actions/runners": alone("online"),
    };
    const environment = {
      GITHUB_API_URL: await startGitHub(github),
      ALLOW_HTTP_HOSTS: "127.0.0.1",
      GITHUB_TOKEN: "test-token",
      POLICY: JSON.stringify({ failureThreshold: 1, pools: { gpu: { minimumOnline: 2 }, old: { minimumOnline: 1, alert: "pool" } } }),
    };
    // Any of them may be the one that is asked about the versions of all.
    for (const name of ["web", "api", "app"]) github[`/repos/acme/${name}/actions/runners/deprecations/2.300.0`] = ended;
    const check = (...targets) => run(program, ["check", ...targets, "acme/none", "--store", store], environment);
    await check("acme/web", "acme/api", "acme/app");
    github["/repos/acme/web/actions/runners"] = list("offline");
    for (const name of ["api", "app"]) github[`/repos/acme/${name}/actions/runners`] = alone("offline");
    // The last of three targets that lose all of their runners says that they are many.
    for (const target of ["acme/api", "acme/app", "acme/web"]) await check(target);
    const online = ["busy", "idle"].map((name, index) => runner(4 + index, "online", { busy: name === "busy", labels: labelled(name) }));
    const { runners } = list("offline");
    github["/repos/acme/web/actions/runners"] = { total_count: 5, runners: [...runners, ...online] };
    await run(program, ["acknowledge", "build-1", "--store", store]);
    // A copy that nothing else has open: a log beside the file would still have all of it.
    const broken = `${store}-broken`;
    copyFileSync(store, broken);
    const unreadable = await serve(program, ["web", "127.0.0.1:0", "--store", broken]);
    await ask(unreadable.url, "/api/v1/outages");
    writeFileSync(broken, "not a store");
    // What was read from the file before is still given for a moment.
    const until = Date.now() + 30_000;
    while ((await ask(unreadable.url, "/api/v1/outages")).status === 200 && Date.now() < until) await pause(100);
    for (const path of PATHS) await expect(503, unreadable.url, `/api/v1/${path}`);
    const { url } = await serve(program, ["web", "127.0.0.1:0", "--store", store]);
    await sendAlerts(url, store, environment, github);
    await askAll(url);
    const withSessions = ["--web-host", "runners.acme.test"];
    const closed = await serve(program, ["web", "127.0.0.1:0", ...withSessions, "--store", store], {
      SLACK_SIGNING_SECRET: "8f742231b10e8888abcd99yyyzzz85a5",
    });
    for (const path of PATHS) await expect(401, closed.url, `/api/v1/${path}`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

await Promise.all([checkDemo(), checkStore(), checkConfigSchema()]);
for (const each of document.missing()) faults.add(`no answer had ${each}`);
// One wrong type is a fault in each answer.
for (const fault of [...faults].slice(0, 50)) console.error(fault);
const secs = ((Date.now() - began) / 1000).toFixed(1);
console.log(
  `${document.statuses.size} pairs of path and status, ${document.properties.size} properties, ${answers} answers: ` +
    `${faults.size} faults, ${secs} s`,
);
process.exit(faults.size === 0 ? 0 : 1);
