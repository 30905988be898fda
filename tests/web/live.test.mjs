// An open page follows the state by itself, and leaves alone what a person does meanwhile.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { launch, openPage, readRunners } from "./browser.mjs";
import { serveStore } from "./fleet.mjs";
import { startPage, until } from "./programs.mjs";

// So soon after the API an open page shows a change.
const SOON_MS = 2_000;
// The demo's next change takes some seconds at its speed.
const CHANGE_MS = 30_000;

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

/** The demo with its page open; `offline` counts the runners that the API says are offline. */
async function openDemo(path = "/") {
  const demo = await startPage("demo", "--web", "127.0.0.1:0");
  const { page, faults, close } = await openPage(browser);
  const offline = async () => (await readRunners(demo.url)).filter(({ status }) => status === "offline").length;
  await until("the demo's first check", CHANGE_MS, async () => (await readRunners(demo.url)).length > 0);
  await page.goto(demo.url + path);
  await page.evaluate(() => { window.isStillThere = true; });
  const isStillThere = () => page.evaluate(() => window.isStillThere === true);
  const end = async () => {
    await close();
    await demo.stop();
  };
  return { url: demo.url, page, faults, offline, isStillThere, end };
}

/** Waits until the API says that the number of offline runners differs from `from`, and returns it. */
async function changed(offline, from) {
  let now;
  await until("a change in the API", CHANGE_MS, async () => (now = await offline()) !== from);
  return now;
}

/** Waits until the page says what the API says. The fleet may change again meanwhile. */
async function follows(page, offline) {
  await until("the page says what the API says", SOON_MS, async () => {
    const [before, headline] = [await offline(), await page.locator("h1").innerText()];
    return before === 0 ? /^All /.test(headline) : headline.startsWith(`${before} of `);
  });
}

test("the fleet follows each change without a reload", async () => {
  const { url, page, faults, offline, isStillThere, end } = await openDemo();
  await follows(page, offline);
  let now = await offline();
  for (let changes = 0; changes < 3; changes += 1) {
    now = await changed(offline, now);
    await follows(page, offline);
  }
  const problems = (await readRunners(url)).filter(({ condition }) => condition === "down").map(({ name }) => name);
  assert.ok(problems.length > 0, "the demo has no outage");
  await until("the problems are listed", SOON_MS, async () => {
    const rows = await page.locator("td.why").evaluateAll((cells) => cells.map((cell) => cell.parentElement.textContent));
    return problems.every((name) => rows.some((row) => row.startsWith(name)));
  });
  assert.ok(await page.title().then((title) => title.startsWith(`${now} of `)), "the title is old");
  assert.ok(await isStillThere(), "the page was loaded again");
  assert.deepEqual(faults, []);
  await end();
});

test("what a person types stays, also when the focus moves on to the button", async () => {
  const { page, offline, isStillThere, end } = await openDemo();
  const box = page.getByLabel("Name, label or target");
  await box.click();
  await page.keyboard.type("gp");
  await changed(offline, await offline());
  await page.keyboard.type("u");
  assert.equal(await box.inputValue(), "gpu");
  for (const tagName of ["SELECT", "SELECT", "BUTTON"]) {
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.tagName), tagName);
  }
  // Now the page may follow, around the form.
  await follows(page, offline);
  assert.equal(await box.inputValue(), "gpu");
  assert.equal(await page.evaluate(() => document.activeElement.tagName), "BUTTON");
  assert.ok(await isStillThere(), "the page was loaded again");
  await page.keyboard.press("Enter");
  await page.waitForURL((url) => url.searchParams.get("q") === "gpu");
  await end();
});

test("the focus stays on its link", async () => {
  const { page, offline, end } = await openDemo();
  // The second link to the same target is the one in the list of targets.
  const link = page.locator("form ~ .table a[href='/target/acme/api']");
  await link.focus();
  await changed(offline, await offline());
  await follows(page, offline);
  assert.ok(await link.evaluate((element) => element === document.activeElement));
  await end();
});

test("a change between the page and its stream of events is not lost", async () => {
  const served = await serveStore();
  const { page, close } = await openPage(browser);
  let open;
  const opened = new Promise((resolve) => (open = resolve));
  await page.route("**/events", (route) => opened.then(() => route.continue()));
  await page.goto(served.url);
  await served.check();
  await until("the API has the change", SOON_MS, async () => {
    return (await readRunners(served.url)).some(({ name, status }) => name === "last-10" && status === "offline");
  });
  assert.equal(await page.getByText("last-10").count(), 0, "the page has the change before its stream");
  open();
  // No other change follows that could hide a lost one.
  await until("the page has the change", SOON_MS, async () => (await page.getByText("last-10").count()) === 1);
  await close();
  await served.stop();
});

test("a page without a connection catches up", async () => {
  const { page, offline, isStillThere, end } = await openDemo();
  await page.context().setOffline(true);
  await changed(offline, await offline());
  await page.context().setOffline(false);
  await until("the page has caught up", 15_000, async () => {
    const headline = await page.locator("h1").innerText();
    return headline.startsWith(`${await offline()} of `);
  });
  assert.ok(await isStillThere(), "the page was loaded again");
  await end();
});

test("a page that gets no answer for a minute says since when", async () => {
  const served = await serveStore();
  const { page, close } = await openPage(browser);
  await page.clock.install();
  await page.goto(served.url);
  const age = page.locator(".top .age");
  const before = await age.innerText();
  await page.route("**/*", (route) => route.abort());
  await page.clock.fastForward(61_000);
  await until("the page says that it is old", SOON_MS, async () => /^not updated since \d\d:\d\d UTC$/.test(await age.innerText()));
  await page.unroute("**/*");
  await page.clock.fastForward(31_000);
  await until("the page is renewed", SOON_MS, async () => !(await age.innerText()).startsWith("not updated"));
  assert.notEqual(before, "");
  assert.equal(await page.locator(".top .age.bad").count(), 0);
  await close();
  await served.stop();
});
