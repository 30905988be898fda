// The programs that a check starts. They end with the check, however it ends.

import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createServer } from "node:net";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const PRISM = fileURLToPath(new URL("node_modules/@stoplight/prism-cli/dist/index.js", import.meta.url));
// The first start builds the fake: minutes on a cold machine.
const FAKE_DEADLINE_MS = 15 * 60_000;
const PRISM_DEADLINE_MS = 60_000;
// Without this, Prism's packages report their installation.
const ENVIRONMENT = { ...process.env, SCARF_ANALYTICS: "false" };

const running = new Set();

process.on("exit", () => running.forEach((child) => child.kill("SIGKILL")));
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => process.exit(1));

/** Installs the pinned packages unless they are installed. */
export function installPackages() {
  if (existsSync(PRISM)) return;
  const npm = spawnSync("npm", ["ci", "--ignore-scripts"], {
    cwd: HERE,
    env: ENVIRONMENT,
    stdio: ["ignore", 2, 2],
  });
  if (npm.status !== 0) throw new Error(`npm ci --ignore-scripts failed in ${HERE}`);
}

/** Starts the fake GitHub and returns its URL. */
export async function startFake(...options) {
  const command = ["run", "--quiet", "-p", "monitor-fakes", "--example", "fake-github", "--", ...options];
  const fake = start("fake-github", "cargo", command, "pipe");
  const lines = createInterface({ input: fake.stdout });
  const line = new Promise((resolve) => lines.once("line", resolve));
  return within(FAKE_DEADLINE_MS, "fake-github", Promise.race([line, ended(fake, "fake-github")]));
}

/** Starts Prism (`proxy DESCRIPTION UPSTREAM` or `mock DESCRIPTION`) and returns its URL. */
export async function startPrism(...command) {
  const port = await freePort();
  const options = ["--host", "127.0.0.1", "--port", String(port), "--verboseLevel", "error"];
  const prism = start("prism", process.execPath, [PRISM, ...command, ...options], "ignore");
  const url = `http://127.0.0.1:${port}`;
  await within(PRISM_DEADLINE_MS, "prism", Promise.race([answers(url), ended(prism, "prism")]));
  return url;
}

/** Ends every program started here and waits for its exit. */
export async function stopAll() {
  const gone = [...running].map((child) => new Promise((resolve) => child.once("exit", resolve)));
  for (const child of running) child.kill("SIGKILL");
  await Promise.all(gone);
}

/** Runs a command to its end and returns its exit code. */
export function run([command, ...options], environment) {
  const child = spawn(command, options, { env: { ...ENVIRONMENT, ...environment }, stdio: "inherit" });
  running.add(child);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => {
      running.delete(child);
      resolve(code ?? 1);
    });
  });
}

function start(name, command, options, stdout) {
  const child = spawn(command, options, { cwd: ROOT, env: ENVIRONMENT, stdio: ["ignore", stdout, "inherit"] });
  running.add(child);
  child.once("exit", () => running.delete(child));
  child.once("error", (error) => console.error(`${name}: ${error.message}`));
  return child;
}

function ended(child, name) {
  return new Promise((_, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) => reject(new Error(`${name} ended at once (${code ?? signal})`)));
  });
}

async function answers(url) {
  for (;;) {
    try {
      await fetch(url);
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

async function within(deadlineMs, name, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${name} was not ready after ${deadlineMs / 1000} s`)), deadlineMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
