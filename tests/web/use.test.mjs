// What a person does with the page: follow it by eye, by keyboard, and without scripts.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { launch, openPage, readRunners } from "./browser.mjs";
import { serveStore, LONG_NAME, SCRIPT_NAME } from "./fleet.mjs";

let browser, served;
before(async () => {
  served = await serveStore();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await served?.stop();
});

/** The addresses of the runners in the list of the page, sorted; a search finds pools too. */
async function listed(page) {
  const links = page.locator("form ~ .table td:first-child a").filter({ hasNotText: /^pool / });
  const addresses = await links.evaluateAll((all) => all.map((link) => link.getAttribute("href")));
  return addresses.filter((address) => address.startsWith("/runner/")).sort();
}

function addresses(runners) {
  return runners.map(({ id, target }) => `/runner/${id}/${target}`).sort();
}

/** Searches with the form, and returns the page's address. */
async function search(page, words, state = "") {
  await page.getByLabel("Name, label or target").fill(words);
  await page.getByLabel("State").selectOption(state);
  await page.getByRole("button", { name: "Search" }).click();
  await page.waitForURL((url) => url.searchParams.get("q") === words && url.searchParams.get("state") === state);
  return page.url();
}

const SEARCHES = [
  ["a name", "SHARED-1", "", ({ name }) => /shared-1/.test(name)],
  ["a label", "gpu", "", ({ labels }) => labels.includes("gpu")],
  ["a target", "acme/web", "", ({ target }) => target === "acme/web"],
  ["two words", "acme/web spare", "", ({ target, name }) => target === "acme/web" && name.startsWith("spare")],
  ["a name with HTML", SCRIPT_NAME, "", ({ name }) => name === SCRIPT_NAME],
  ["a name with quotes, commas and a plus", `=1+1, "quoted"`, "", ({ name }) => name === `=1+1, "quoted"`],
  ["a state", "", "offline", ({ status }) => status === "offline"],
  ["a name and a state", "shared", "busy", ({ name, status }) => name.startsWith("shared") && status === "busy"],
  ["nothing", "nothing-has-this-name", "", () => false],
];

for (const javaScriptEnabled of [true, false]) {
  for (const [what, words, state, isMeant] of SEARCHES) {
    test(`the search finds ${what} ${javaScriptEnabled ? "" : "without scripts "}and is kept in the address`, async () => {
      const { page, faults, close } = await openPage(browser, { javaScriptEnabled });
      await page.goto(`${served.url}/`);
      const address = await search(page, words, state);
      const meant = addresses((await readRunners(served.url)).filter(isMeant));
      assert.ok(what === "nothing" || meant.length > 0, "the fleet has none");
      assert.deepEqual(await listed(page), meant);
      // The address alone shows the same again.
      await page.goto(`${served.url}/outages`);
      await page.goto(address);
      assert.deepEqual(await listed(page), meant);
      assert.equal(await page.getByLabel("Name, label or target").inputValue(), words);
      assert.equal(await page.getByLabel("State").inputValue(), state);
      assert.deepEqual(faults, []);
      await close();
    });
  }
}

test("without scripts the page is complete and reloads itself", async () => {
  const { page, close } = await openPage(browser, { javaScriptEnabled: false });
  const answer = await page.goto(`${served.url}/`);
  assert.match(await answer.text(), /<noscript><meta http-equiv="refresh" content="60"><\/noscript>/);
  const offline = (await readRunners(served.url)).filter(({ status }) => status === "offline");
  assert.ok((await page.locator("h1").innerText()).startsWith(`${offline.length} of `));
  assert.equal(await page.locator("form ~ .table tbody tr").count(), 5, "a row for each target");
  await page.getByRole("link", { name: LONG_NAME }).click();
  assert.equal(await page.locator("h1").innerText(), LONG_NAME);
  await page.getByRole("link", { name: "Outages" }).first().click();
  assert.match(await page.locator("h1").innerText(), /^\d+ outages, \d+ open$/);
  await close();
});

/** Where the focus is, and whether it can be seen. */
function focus() {
  const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
  const { href, name, textContent, tagName } = document.activeElement;
  const box = document.activeElement.getBoundingClientRect();
  const isVisible = outlineStyle !== "none" && parseFloat(outlineWidth) >= 2 && box.width > 0 && box.left >= 0;
  return { isVisible, tagName, at: href ? new URL(href).pathname + new URL(href).hash : name || textContent };
}

test("the keyboard alone reaches everything, and the focus is always visible", async () => {
  const { page, close } = await openPage(browser);
  await page.goto(`${served.url}/`);
  const stops = [];
  for (;;) {
    await page.keyboard.press("Tab");
    const stop = await page.evaluate(focus);
    // After the last one the focus leaves the page.
    if (stop.tagName === "BODY" || stops.length > 200) break;
    assert.ok(stop.isVisible, `the focus is not visible on ${stop.at}`);
    stops.push(stop.at);
  }
  assert.deepEqual(stops.slice(0, 4), ["/#content", "/", "/", "/outages"], "skip link, name, menu");
  for (const meant of ["q", "state", "Search", "/runner/3/acme/web", "/target/orgs/acme", "/metrics"]) {
    assert.ok(stops.includes(meant), `${meant} is not among ${stops}`);
  }

  await page.goto(`${served.url}/`);
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.waitForURL(/#content$/);
  await page.keyboard.press("Tab");
  assert.ok(await page.evaluate(() => document.querySelector("main").contains(document.activeElement)), "the skip link skips nothing");
  while ((await page.evaluate(focus)).at !== "/runner/3/acme/web") await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.waitForURL("**/runner/3/acme/web");
  assert.equal(await page.locator("h1").innerText(), SCRIPT_NAME);
  await close();
});

test("names and labels are text, whatever they contain", async () => {
  const { page, faults, close } = await openPage(browser);
  let dialogs = 0;
  page.on("dialog", (dialog) => {
    dialogs += 1;
    return dialog.dismiss();
  });
  // What could move the cursor of a terminal or turn the text round is shown as a replacement character.
  const shown = (text) => text.replace(/\u202e/gu, "\ufffd");
  const runners = await readRunners(served.url);
  assert.ok(runners.some(({ name }) => name === SCRIPT_NAME));
  for (const { id, target, name, labels } of runners.filter(({ target }) => target === "acme/web")) {
    await page.goto(`${served.url}/runner/${id}/${target}`);
    assert.equal(await page.locator("h1").textContent(), shown(name));
    assert.equal(await page.title(), `${shown(name)}, ${target} – Runner Monitor`);
    assert.deepEqual(await page.locator(".facts .label").allTextContents(), labels.filter((label) => label !== "self-hosted"));
  }
  await page.goto(`${served.url}/target/acme/web`);
  const names = await page.locator("table a[href^='/runner/']").allTextContents();
  assert.ok(names.includes(SCRIPT_NAME));
  assert.equal(await page.locator("main script, main b").count(), 0);
  assert.deepEqual([faults, dialogs], [[], 0]);
  await close();
});
