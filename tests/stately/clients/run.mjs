// Runs the official clients against the local server; see README.md here.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { here, output, python, run, startServer } from "./processes.mjs";

const accessKey = "an access key for tests";
const open = await startServer();
const closed = await startServer({ server: ["--access-key", accessKey, "--token-life-secs", "1"] });

run("node", join(here, "js/scenario.mjs"), open, closed, accessKey);
run(python, join(here, "python/scenario.py"), open, closed, accessKey);

const roundtrip = (...words) =>
  output("cargo", "run", "--quiet", "-p", "monitor-stately", "--example", "roundtrip", "--", ...words, "--endpoint", open);
const folder = mkdtempSync(join(tmpdir(), "stately-clients-"));
try {
  const samples = join(folder, "samples.json");
  writeFileSync(samples, roundtrip("write"));
  const inJavaScript = (from, to) => run("node", join(here, "js/samples.mjs"), open, closed, accessKey, samples, from, to);
  const inPython = (from, to) => run(python, join(here, "python/samples.py"), open, samples, from, to);
  inJavaScript("1", "2");
  inPython("1", "3");
  // Each client also reads the items that the other has written.
  inPython("2", "4");
  inJavaScript("3", "5");
  for (const store of ["2", "3"]) process.stdout.write(roundtrip("read", "--store-id", store));
} finally {
  rmSync(folder, { recursive: true });
}
console.log("stately-clients: all passed");
process.exit(0);
