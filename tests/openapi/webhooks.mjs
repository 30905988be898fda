// Reads GitHub's own examples of a workflow job's deliveries, signed by GitHub's own library: node tests/openapi/webhooks.mjs PROGRAM
// PROGRAM is the example `webhooks` of the crate monitor-github.

import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { sign } from "@octokit/webhooks-methods";

// The package is one JSON file.
const examples = createRequire(import.meta.url)("@octokit/webhooks-examples");

const SECRET = "It's a Secret to Everybody";
const STATES = { waiting: "held", queued: "queued", in_progress: "inProgress", completed: "inProgress" };
const faults = [];

const of = (name) => examples.find((event) => event.name === name).examples;
const jobs = of("workflow_job");
const deliveries = [
  ...jobs.map((payload) => ({ event: "workflow_job", payload })),
  ...of("ping").map((payload) => ({ event: "ping", payload })),
  ...of("workflow_run").map((payload) => ({ event: "workflow_run", payload })),
];
const lines = [];
for (const { event, payload } of deliveries) {
  const body = JSON.stringify(payload);
  lines.push({ event, body, signature: await sign(SECRET, body) });
  lines.push({ event, body: `${body} `, signature: await sign(SECRET, body) });
}
const input = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
const { stdout, status } = spawnSync(process.argv[2], { input, encoding: "utf8", maxBuffer: 1 << 26 });
const answers = stdout.trim().split("\n").map((line) => JSON.parse(line));
if (status !== 0 || answers.length !== lines.length) faults.push(`${answers.length} answers to ${lines.length} deliveries`);

deliveries.forEach(({ event, payload }, index) => {
  const [right, altered] = [answers[2 * index], answers[2 * index + 1]];
  const name = `example ${index + 1} of ${event} (${payload.action})`;
  if (!right.verified) faults.push(`${name}: its signature is refused`);
  if (altered.verified) faults.push(`${name}: with another body its signature is accepted`);
  const job = payload.workflow_job;
  const isOwn = event === "workflow_job" && !(job.labels.length === 1 && job.labels[0].startsWith("ubuntu-"));
  if (!isOwn) {
    if (right.report !== null) faults.push(`${name}: reported, but it is of no interest: ${JSON.stringify(right.report)}`);
    return;
  }
  const { job: read, completed = false } = right.report ?? {};
  const expected = {
    id: job.id,
    repository: payload.repository.full_name,
    name: job.name,
    labels: job.labels,
    state: STATES[job.status],
    url: job.html_url,
  };
  for (const [key, value] of Object.entries(expected)) {
    if (JSON.stringify(read?.[key]) !== JSON.stringify(value)) faults.push(`${name}: ${key} is ${JSON.stringify(read?.[key])}`);
  }
  if (completed !== (job.status === "completed")) faults.push(`${name}: completed is ${completed}`);
  if ((read?.runner ?? null) !== (job.status === "in_progress" ? job.runner_name : null)) faults.push(`${name}: runner is ${read?.runner}`);
});

for (const fault of faults) console.error(fault);
console.log(`${jobs.length} examples of workflow_job, ${lines.length} deliveries: ${faults.length} faults`);
process.exit(faults.length === 0 ? 0 : 1);
