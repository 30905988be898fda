// Reads 1,000 runners of one target with the official client, ten times after warming up, and prints this process's CPU
// time per pass. It is the counterpart of `cargo run --release -p monitor-stately --example read-1000`.
import { overNode } from "./client.mjs";

const [endpoint, storeId] = process.argv.slice(2);
const client = overNode(endpoint, Number(storeId));
const warming = 10;
const passes = 10;

async function pass() {
  let runners = 0;
  for await (const item of client.beginList("/fleet-acme%/large")) {
    if (client.isType(item, "Runner")) runners += 1;
  }
  if (runners !== 1_000) throw new Error(`${runners} runners were read`);
}

for (let count = 0; count < warming; count += 1) await pass();
const before = process.cpuUsage();
for (let count = 0; count < passes; count += 1) await pass();
const { user, system } = process.cpuUsage(before);
const ms = (user + system) / 1_000 / passes;
console.log(`${ms.toFixed(2)} ms of CPU for 1000 runners, ${passes} passes after ${warming}`);
process.exit(0);
