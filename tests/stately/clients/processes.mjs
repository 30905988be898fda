// Shared by the runs of this folder: starting programs, and the folder's path.
import { execFileSync, spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "../../..");

/** Runs a program in the project's root and shows its output. */
export const run = (program, ...words) => execFileSync(program, words, { cwd: root, stdio: ["ignore", "inherit", "inherit"] });

/** Runs a program in the project's root and returns its output. */
export const output = (program, ...words) =>
  execFileSync(program, words, { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });

/** Python with the pinned packages. */
export const python = process.env.PYTHON ?? join(root, ".venv/bin/python");

const running = new Set();
process.on("exit", () => running.forEach((server) => server.kill()));
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => process.exit(1));

/** Builds the server and starts it on a free port; resolves with its address. It ends with this process. */
export function startServer({ cargo = [], server: words = [] } = {}) {
  run("cargo", "build", "--quiet", "-p", "monitor-stately-server", ...cargo);
  const command = ["run", "--quiet", "-p", "monitor-stately-server", ...cargo, "--", "--port", "0", ...words];
  const server = spawn("cargo", command, { cwd: root, stdio: ["ignore", "pipe", "inherit"] });
  running.add(server);
  return new Promise((resolve, reject) => {
    createInterface({ input: server.stdout }).once("line", resolve);
    server.once("exit", (code) => reject(new Error(`the server ended with ${code}`)));
  });
}
