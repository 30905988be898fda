// Takes the pictures of the page for the docs, from the demo: node tests/web/screenshots.mjs

import { mkdirSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { launch, openPage, readRunners } from "./browser.mjs";
import { startPage, until } from "./programs.mjs";

const FOLDER = fileURLToPath(new URL("../../docs/images/", import.meta.url));
const LARGEST = 120 * 1024;
const DEADLINE_MS = 120_000;

mkdirSync(FOLDER, { recursive: true });
const demo = await startPage("demo", "--web", "127.0.0.1:0");
const browser = await launch();
const { page } = await openPage(browser, { colorScheme: "light" });

async function take(name, path) {
  await page.goto(demo.url + path);
  await page.screenshot({ path: FOLDER + name });
  const { size } = statSync(FOLDER + name);
  console.log(`docs/images/${name}: ${size} bytes`);
  if (size > LARGEST) throw new Error(`${name} has more than ${LARGEST} bytes`);
}

/** Waits until a runner, or all whose names begin so, has had so many outages in the demo, and the last one is open and confirmed. */
async function outagesOf(name, count) {
  await until(`the outages of ${name}`, DEADLINE_MS, async () => {
    const { found } = await (await fetch(`${demo.url}/api/v1/outages?q=${name}&days=1`)).json();
    return found === count && (await readRunners(demo.url)).some((one) => one.name.startsWith(name) && one.condition === "down");
  });
}

// Three runners of an organization are offline together, and one in each of two repositories.
await outagesOf("gpu", 3);
await take("fleet.png", "/");
// One went offline again and again.
await outagesOf("api-1", 3);
const { id, target } = (await readRunners(demo.url)).find(({ name }) => name === "api-1");
await take("runner.png", `/runner/${id}/${target}`);

await browser.close();
await demo.stop();
