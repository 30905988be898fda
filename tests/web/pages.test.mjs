// Every page in every form: accessible, valid, within the policy, and not wider than the screen.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";

import { AxeBuilder } from "@axe-core/playwright";
import vnu from "vnu-jar";

import { launch, openPage } from "./browser.mjs";
import { serveStore } from "./fleet.mjs";
import { temporaryFolder } from "./programs.mjs";

const PAGES = {
  fleet: ["/"],
  "a search with results": ["/?q=acme&state=offline"],
  "a search without results": ["/?q=nothing-has-this-name"],
  target: ["/target/acme/web"],
  "target with a pool": ["/target/orgs/acme"],
  "unreachable target": ["/target/acme/gone"],
  "target without runners": ["/target/acme/empty"],
  runner: ["/runner/3/acme/web"],
  "runner with a long name": ["/runner/4/acme/web"],
  "runner that returned": ["/runner/7/acme/web"],
  pool: [null],
  outages: ["/outages"],
  "outages that are not found": ["/outages?q=nothing-has-this-name"],
  "no such page": ["/no-such-page", 404],
  "no such runner": ["/runner/999/acme/web", 404],
};
const FORMS = ["light", "dark"].flatMap((colorScheme) => [1200, 320].map((width) => ({ colorScheme, width })));

let browser, served;
before(async () => {
  served = await serveStore();
  const pools = await (await fetch(`${served.url}/target/orgs/acme`)).text();
  PAGES.pool[0] = pools.match(/href="(\/runner\/\d+\/orgs\/acme)" title="pool gpu"/)[1];
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await served?.stop();
});

/** What axe finds. Its older mode needs no second page, and there are no frames. */
async function violations(page, rules) {
  const axe = new AxeBuilder({ page }).setLegacyMode();
  const found = await (rules ? axe.withRules(rules) : axe).analyze();
  const line = (id, { html, any }) => `${id}: ${html.slice(0, 150)} ${any[0]?.message ?? ""}`;
  return found.violations.flatMap(({ id, nodes }) => nodes.map((node) => line(id, node)));
}

/** What makes the document wider than the window. */
function tooWide() {
  const { scrollWidth, clientWidth } = document.scrollingElement;
  if (scrollWidth <= clientWidth) return [];
  const wide = [...document.querySelectorAll("body *")].filter((element) => element.getBoundingClientRect().right > clientWidth);
  return wide.filter((element) => !element.parentElement.closest(".table")).map((element) => element.outerHTML.slice(0, 120));
}

for (const { colorScheme, width } of FORMS) {
  describe(`${colorScheme}, ${width} px`, { concurrency: 2 }, () => {
    for (const [name, place] of Object.entries(PAGES)) {
      test(name, async () => {
        const { page, faults, close } = await openPage(browser, { colorScheme, viewport: { width, height: 800 } });
        const answer = await page.goto(served.url + place[0]);
        assert.equal(answer.status(), place[1] ?? 200);
        assert.deepEqual(await page.evaluate(tooWide), []);
        assert.deepEqual(await violations(page), []);
        assert.deepEqual(faults, []);
        await close();
      });
    }
  });
}

test("the checks find faults: a page with one of each kind does not pass", async () => {
  const { page, faults, close } = await openPage(browser, { viewport: { width: 320, height: 800 } });
  await page.goto(`${served.url}/`);
  await page.evaluate(() => {
    document.body.insertAdjacentHTML("beforeend", `<img width="999" height="9" src="https://example.invalid/x">`);
  });
  assert.notDeepEqual(await page.evaluate(tooWide), []);
  assert.match((await violations(page)).join(), /image-alt/);
  assert.match(faults.join(), /policy: img-src/);
  await close();
});

test("print has no navigation and no forms, and is legible also if the screen is dark", async () => {
  const { page, close } = await openPage(browser, { colorScheme: "dark" });
  for (const path of ["/", "/?q=acme", "/outages", "/target/acme/gone"]) {
    await page.goto(served.url + path);
    await page.emulateMedia({ media: "print", colorScheme: "dark" });
    for (const hidden of await page.locator("nav, form, .skip, .pages, footer").all()) {
      assert.equal(await hidden.isVisible(), false, `${path}: ${await hidden.innerHTML()}`);
    }
    assert.ok(await page.locator("h1").isVisible());
    assert.deepEqual(await violations(page, ["color-contrast"]), []);
    await page.emulateMedia({ media: null });
  }
  await close();
});

/** What the W3C's checker finds in a folder's files, each with the files in which it found it. */
async function check(folder) {
  const options = ["-jar", vnu, "--also-check-css", "--format", "json", "--stdout", "--exit-zero-always", folder];
  const { stdout } = await promisify(execFile)("java", options, { maxBuffer: 1 << 26 });
  const found = {};
  for (const { url, type, message } of JSON.parse(stdout).messages) {
    (found[`${type}: ${message}`] ??= []).push(decodeURIComponent(url.split("/").pop()));
  }
  return found;
}

test("the HTML and the style sheet are valid", async () => {
  const folder = temporaryFolder();
  const save = async (name, path) => writeFileSync(join(folder, name), await (await fetch(served.url + path)).text());
  await save("style.css", "/style.css");
  for (const [name, [path]] of Object.entries(PAGES)) await save(`${name}.html`, path);
  assert.deepEqual(await check(folder), {});
});

test("the checker finds what is not valid", async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, "page.html"), "<!DOCTYPE html><html lang=en><title>x</title><p><b></p>");
  writeFileSync(join(folder, "style.css"), "p { colour: red; }");
  assert.deepEqual(new Set(Object.values(await check(folder)).flat()), new Set(["page.html", "style.css"]));
});
