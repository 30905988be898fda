// Debian's Chromium, and pages that remember what went wrong in them.

import { join } from "node:path";

import { chromium } from "playwright-core";

const EXECUTABLE = process.env.CHROMIUM ?? "/usr/bin/chromium";
// A folder with style.css and live.js, to try a change of them without building the program.
const ASSETS = process.env.WEB_ASSETS;

export function launch() {
  // The tests may run as root in a container, where Chromium's sandbox does not start.
  return chromium.launch({ executablePath: EXECUTABLE, args: ["--no-sandbox"] });
}

/** A page in a context of its own. `faults` lists errors, refused and failed requests, and violations of the policy. */
export async function openPage(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1200, height: 800 }, ...options });
  const page = await context.newPage();
  const faults = [];
  if (ASSETS) {
    for (const name of ["style.css", "live.js"]) {
      await context.route(`**/${name}`, (route) => route.fulfill({ path: join(ASSETS, name) }));
    }
  }
  await context.exposeBinding("violated", (_, what) => faults.push(what));
  await page.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) => {
      violated(`policy: ${event.effectiveDirective} ${event.blockedURI}`);
    });
  });
  // The status of the document itself is the test's own matter.
  const isDocument = (message) => message.location().url === page.url() && /the server responded with/.test(message.text());
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type()) && !isDocument(message)) faults.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => faults.push(`script: ${error.message}`));
  page.on("requestfailed", (request) => {
    // Leaving a page ends its requests.
    const why = request.failure()?.errorText;
    if (why !== "net::ERR_ABORTED") faults.push(`request: ${request.url()} ${why}`);
  });
  return { page, faults, close: () => context.close() };
}

/** The state of the fleet as the API has it. */
export async function readFleet(url) {
  const { targets } = await (await fetch(`${url}/api/v1/fleet`)).json();
  return targets;
}

/** All runners with their targets. */
export async function readRunners(url) {
  const targets = await readFleet(url);
  return targets.flatMap(({ target, runners }) => runners.map((runner) => ({ target, ...runner })));
}
