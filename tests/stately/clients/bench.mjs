// Compares the CPU time of the monitor's store and of the official JavaScript client for the same 1,000 runners on the
// same server. Fails if the store takes more than a third of the client's time.
import { join } from "node:path";

import { here, output, startServer } from "./processes.mjs";

const rounds = 5;
const most = 1 / 3;

const endpoint = await startServer({ cargo: ["--release"] });
const example = ["run", "--quiet", "--release", "-p", "monitor-stately", "--example", "read-1000", "--", "--endpoint", endpoint];
const milliseconds = (printed) => Number(printed.split(" ")[0]);
const store = (...words) => milliseconds(output("cargo", ...example, ...words));
const javaScript = () => milliseconds(output("node", join(here, "js/read-1000.mjs"), endpoint, "1"));
const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];

store("--fill");
const taken = { store: [], javaScript: [] };
// Alternating, so that other load on the machine affects both.
for (let round = 0; round < rounds; round += 1) {
  taken.store.push(store());
  taken.javaScript.push(javaScript());
}
const [ours, theirs] = [median(taken.store), median(taken.javaScript)];
const ratio = ours / theirs;
console.log(`CPU for 1,000 runners, median of ${rounds}: the store ${ours} ms, the JavaScript client ${theirs} ms, ${ratio.toFixed(2)}`);
process.exit(ratio <= most ? 0 : 1);
