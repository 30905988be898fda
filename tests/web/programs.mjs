// The programs that a test starts. They end with the test, however it ends.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
export const PROGRAM = resolve(process.env.RUNNER_MONITOR ?? join(ROOT, "target/debug/runner-monitor"));
const DEADLINE_MS = 30_000;

const running = new Set();
const folders = new Set();

process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => process.exit(1));

/** A folder that is removed with the test. */
export function temporaryFolder() {
  const folder = mkdtempSync(join(tmpdir(), "runner-monitor-web-"));
  folders.add(folder);
  return folder;
}

/** Starts the program with a page, and returns the page's address and what stops the program. */
export async function startPage(...command) {
  const env = { PATH: process.env.PATH, HOME: temporaryFolder() };
  const child = spawn(PROGRAM, command, { cwd: ROOT, env, stdio: ["ignore", "pipe", "pipe"] });
  running.add(child);
  const ended = new Promise((resolve) => child.once("exit", resolve));
  ended.then(() => running.delete(child));
  const stop = () => {
    child.kill("SIGTERM");
    return ended;
  };
  let said = "";
  const address = new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`no page after ${DEADLINE_MS / 1000} s: ${said}`)), DEADLINE_MS);
    const read = (line) => {
      said += `${line}\n`;
      const found = line.match(/page[^]*?(http:\/\/127\.0\.0\.1:\d+)/i);
      if (!found) return;
      clearTimeout(late);
      resolve(found[1]);
    };
    createInterface({ input: child.stdout }).on("line", read);
    createInterface({ input: child.stderr }).on("line", read);
    child.once("error", reject);
    child.once("exit", (code, signal) => reject(new Error(`${PROGRAM} ended at once (${code ?? signal}): ${said}`)));
  });
  return { url: await address, stop };
}

/** Waits until something is so, and returns it. */
export async function until(what, deadlineMs, isSo) {
  const end = performance.now() + deadlineMs;
  for (;;) {
    const found = await isSo();
    if (found) return found;
    if (performance.now() > end) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
