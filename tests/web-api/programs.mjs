// The programs and servers that the check starts, all on 127.0.0.1. They end with the check, however it ends.

import { spawn } from "node:child_process";
import { Agent, createServer, request } from "node:http";
import { setTimeout as pause } from "node:timers/promises";

const DEADLINE_MS = 30_000;
const agent = new Agent({ keepAlive: true });
const running = new Set();

process.on("exit", () => running.forEach((child) => child.kill("SIGKILL")));
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => process.exit(1));

/** Starts a program that serves the page, and returns its address and a promise of its exit code. */
export async function serve(program, words, environment = {}) {
  const child = spawn(program, words, { env: { ...process.env, ...environment }, stdio: ["ignore", "pipe", "ignore"] });
  running.add(child);
  const ended = new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => {
      running.delete(child);
      resolve(code);
    });
  });
  const address = new Promise((resolve, reject) => {
    let text = "";
    child.stdout.on("data", (chunk) => {
      text += chunk;
      const found = / page (?:of .* )?is at (http:\S+)\//.exec(text);
      if (found) resolve(found[1]);
    });
    const fail = (why) => reject(new Error(`${program} ${words.join(" ")} ${why}`));
    ended.then((code) => fail(`ended with ${code}`), (error) => fail(error.message));
    setTimeout(() => fail("said no address"), DEADLINE_MS).unref();
  });
  return { url: await address, ended };
}

/** Starts a program, and returns what ends it, and what waits for a line of its log and returns the group in it. */
export function start(program, words, environment = {}) {
  const child = spawn(program, words, { env: { ...process.env, ...environment }, stdio: ["ignore", "ignore", "pipe"] });
  running.add(child);
  const ended = new Promise((resolve, reject) => child.once("error", reject).once("exit", resolve));
  let log = "";
  child.stderr.on("data", (chunk) => (log += chunk));
  const printed = async (line) => {
    const until = Date.now() + DEADLINE_MS;
    for (;;) {
      const found = line.exec(log);
      if (found) return found[1];
      if (child.exitCode !== null || Date.now() > until) throw new Error(`${program} ${words.join(" ")} printed:\n${log}`);
      await pause(50);
    }
  };
  const stop = async () => {
    child.kill("SIGTERM");
    await ended;
    running.delete(child);
  };
  return { stop, printed };
}

/** Runs a program to its end and returns its exit code and what it printed. */
export async function run(program, words, environment = {}, cwd = undefined) {
  const env = { ...process.env, ...environment };
  const child = spawn(program, words, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
  running.add(child);
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (text += chunk));
  const code = await new Promise((resolve, reject) => child.once("error", reject).once("close", resolve));
  running.delete(child);
  return { code, text };
}

/** One answer. `fetch` would not send the name of another host. */
export function get(url, path, headers = {}) {
  return new Promise((resolve, reject) => {
    const sent = request(url + path, { agent, headers, timeout: DEADLINE_MS }, (answer) => {
      let body = "";
      answer.setEncoding("utf8").on("data", (chunk) => (body += chunk));
      answer.on("end", () => resolve({ path, status: answer.statusCode, headers: answer.headers, body }));
    });
    sent.on("timeout", () => sent.destroy(new Error(`${path}: no answer`))).on("error", reject).end();
  });
}

/** A GitHub with the answers of a table, by path; everything else is 404. */
export async function startGitHub(answers) {
  const server = createServer((asked, answer) => {
    const content = answers[asked.url.split("?")[0]];
    answer.writeHead(content ? 200 : 404, { "content-type": "application/json; charset=utf-8", "x-github-request-id": "1" });
    answer.end(JSON.stringify(content ?? { message: "Not Found" }));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  server.unref();
  return `http://127.0.0.1:${server.address().port}`;
}

