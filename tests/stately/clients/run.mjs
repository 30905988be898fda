// Runs the official clients against the local server; see README.md here.
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "../../..");
const accessKey = "an access key for tests";
const python = process.env.PYTHON ?? join(root, ".venv/bin/python");
const run = (program, ...words) => execFileSync(program, words, { cwd: root, stdio: ["ignore", "inherit", "inherit"] });
const example = (...words) => {
  const cargo = ["run", "--quiet", "-p", "monitor-stately", "--example", "roundtrip", "--", ...words];
  return execFileSync("cargo", cargo, { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
};

/** Starts a server on a free port; resolves with its address. */
function start(...words) {
  const cargo = ["run", "--quiet", "-p", "monitor-stately-server", "--", "--port", "0", ...words];
  const server = spawn("cargo", cargo, { cwd: root, stdio: ["ignore", "pipe", "inherit"] });
  const address = new Promise((resolve, reject) => {
    createInterface({ input: server.stdout }).once("line", resolve);
    server.once("exit", (code) => reject(new Error(`the server ended with ${code}`)));
  });
  return { address, stop: () => server.kill() };
}

const folder = mkdtempSync(join(tmpdir(), "stately-clients-"));
const servers = [];
try {
  run("cargo", "build", "--quiet", "-p", "monitor-stately-server");
  servers.push(start(), start("--access-key", accessKey, "--token-life-secs", "1"));
  const [open, closed] = await Promise.all(servers.map((server) => server.address));
  run("node", join(here, "js/scenario.mjs"), open, closed, accessKey);
  run(python, join(here, "python/scenario.py"), open, closed, accessKey);

  const samples = join(folder, "samples.json");
  writeFileSync(samples, example("write", "--endpoint", open));
  const inJavaScript = (from, to) => run("node", join(here, "js/samples.mjs"), open, closed, accessKey, samples, from, to);
  const inPython = (from, to) => run(python, join(here, "python/samples.py"), open, samples, from, to);
  inJavaScript("1", "2");
  inPython("1", "3");
  // Each also reads what the other has written.
  inPython("2", "4");
  inJavaScript("3", "5");
  for (const store of ["2", "3"]) process.stdout.write(example("read", "--endpoint", open, "--store-id", store));
  console.log("stately-clients: all passed");
} finally {
  servers.forEach((server) => server.stop());
  rmSync(folder, { recursive: true });
}
