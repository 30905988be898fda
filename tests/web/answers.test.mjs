// The answers themselves: headers, refusals, CSV and ETag.

import assert from "node:assert/strict";
import { request } from "node:http";
import { after, before, test } from "node:test";

import { readRunners } from "./browser.mjs";
import { serveStore } from "./fleet.mjs";

const PATHS = {
  "/": 200,
  "/?q=web&state=offline": 200,
  "/?page=x": 400,
  "/target/acme/web": 200,
  "/target/acme/none": 404,
  "/runner/1/acme/web": 200,
  "/runner/x/acme/web": 400,
  "/outages": 200,
  "/outages.csv": 200,
  "/api/v1/fleet": 200,
  "/api/v1/outages": 200,
  "/api/v1/runners/1/acme/web": 200,
  "/api/v1/runners/999/acme/web": 404,
  "/api/v1/openapi.json": 200,
  "/metrics": 200,
  // Single checks filled the store: no monitor runs.
  "/healthz": 503,
  "/readyz": 200,
  "/events": 200,
  "/style.css": 200,
  "/live.js": 200,
  "/no-such-page": 404,
};

let served;
before(async () => {
  served = await serveStore();
});
after(() => served?.stop());

/** Sends a request and returns status and headers: `fetch` cannot choose the host. */
function ask(path, { method = "GET", headers = {} } = {}) {
  return new Promise((resolve, reject) => {
    const sent = request(served.url + path, { method, headers }, (answer) => {
      resolve({ status: answer.statusCode, headers: answer.headers });
      answer.destroy();
    });
    sent.once("error", reject);
    sent.end();
  });
}

function assertGuarded({ headers }, what) {
  const policy = headers["content-security-policy"] ?? "";
  for (const part of ["default-src 'none'", "script-src 'self'", "base-uri 'none'", "form-action 'self'", "frame-ancestors 'none'"]) {
    assert.ok(policy.includes(part), `${what}: the policy has no ${part}: ${policy}`);
  }
  assert.ok(!/unsafe|\*/.test(policy), `${what}: ${policy}`);
  assert.equal(headers["x-content-type-options"], "nosniff", what);
  assert.equal(headers["referrer-policy"], "no-referrer", what);
  assert.equal(headers["set-cookie"], undefined, what);
}

for (const [path, status] of Object.entries(PATHS)) {
  test(`${path}: ${status}, guarded; another host and another method are refused`, async () => {
    const answers = {
      GET: [await ask(path), status],
      "another host": [await ask(path, { headers: { host: "runners.example" } }), 421],
      "a name that begins like this machine's": [await ask(path, { headers: { host: "127.0.0.1.example:80" } }), 421],
    };
    for (const method of ["POST", "PUT", "DELETE"]) {
      // What does not exist has no methods.
      answers[method] = [await ask(path, { method }), path === "/no-such-page" ? 404 : 405];
    }
    for (const [what, [answer, expected]] of Object.entries(answers)) {
      assert.equal(answer.status, expected, what);
      assertGuarded(answer, what);
    }
  });
}

for (const path of ["/style.css", "/live.js", "/api/v1/openapi.json"]) {
  test(`${path} is sent again only if it has changed`, async () => {
    const first = await ask(path);
    assert.match(first.headers.etag, /^"[^"]+"$/);
    const second = await ask(path, { headers: { "if-none-match": first.headers.etag } });
    assert.equal(second.status, 304);
    assert.equal(second.headers.etag, first.headers.etag);
    assertGuarded(second, "304");
    assert.equal((await ask(path, { headers: { "if-none-match": '"another"' } })).status, 200);
  });
}

/** Reads CSV as RFC 4180 defines it, and refuses what it does not allow. */
function parseCsv(text) {
  const rows = [];
  let row = [];
  let rest = text;
  while (rest !== "") {
    const cell = rest.match(/^(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/);
    const [whole, quoted, plain, end] = cell ?? assert.fail(`not CSV: ${rest.slice(0, 80)}`);
    row.push(quoted?.replaceAll('""', '"') ?? plain);
    rest = rest.slice(whole.length);
    if (end === ",") continue;
    rows.push(row);
    row = [];
  }
  assert.deepEqual(row, [], "the last row does not end");
  return rows;
}

test("the reader of CSV refuses what is none", () => {
  assert.deepEqual(parseCsv('a,"b ""c"", d"\r\n1,\r\n'), [["a", 'b "c", d'], ["1", ""]]);
  for (const wrong of ["a,b\n", 'a"b\r\n', '"a\r\n', "a\r\nb"]) assert.throws(() => parseCsv(wrong), wrong);
});

for (const query of ["", "?state=open", "?state=past", "?q=gpu", "?q=nothing-has-this-name", "?days=7&q=acme%2Fweb"]) {
  test(`the CSV has the outages that the API finds: ${query || "all"}`, async () => {
    const answer = await fetch(`${served.url}/outages.csv${query}`);
    assert.equal(answer.headers.get("content-type"), "text/csv; charset=utf-8");
    const [head, ...rows] = parseCsv(await answer.text());
    const api = await (await fetch(`${served.url}/api/v1/outages${query}`)).json();
    assert.equal(rows.length, api.found);
    assert.equal(api.outages.length, api.found);
    assert.ok(api.found > 0 || query.includes("nothing"), "the store has no such outage");
    const cell = (row, name) => row[head.indexOf(name)];
    rows.forEach((row, index) => {
      assert.equal(row.length, head.length);
      const { target, outage } = api.outages[index];
      // A name that a spreadsheet would take for a formula has an apostrophe before it.
      const name = outage.runnerName.replace(/^(?=[=+@-])/, "'");
      assert.deepEqual([cell(row, "target"), cell(row, "runner"), cell(row, "started_at")], [target, name, outage.startedAt]);
    });
  });
}

test("the page of outages counts as the API does", async () => {
  const html = await (await fetch(`${served.url}/outages`)).text();
  const { found, outages } = await (await fetch(`${served.url}/api/v1/outages`)).json();
  const open = outages.filter(({ outage }) => !outage.resolvedAt).length;
  assert.ok(html.includes(`<h1>${found} outages, ${open} open</h1>`));
  const runners = await readRunners(served.url);
  assert.ok(open >= runners.filter(({ condition }) => condition === "down").length);
});
