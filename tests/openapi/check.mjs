// Checks the fake GitHub with GitHub's OpenAPI description: node tests/openapi/check.mjs
// Each answer passes through `prism proxy --errors`, which turns one that violates the description into a 500.

import { OPERATIONS, writeDescription } from "./description.mjs";
import { installPackages, startFake, startPrism, stopAll } from "./processes.mjs";
import { readIds, requests, send } from "./requests.mjs";

const faults = [];

function fail(request, why) {
  faults.push(`${request.method} ${request.path}: ${why}`);
}

function isPrismFault({ status, body }) {
  return status === 500 && String(body?.type).includes("stoplight.io/prism");
}

/** Every good answer of the fake keeps to the description, and is the one that was meant. */
async function checkAnswers(proxy, all) {
  for (const request of all) {
    const answer = await send(proxy, request);
    if (isPrismFault(answer)) fail(request, JSON.stringify(answer.body.validation ?? answer.body));
    else if (answer.status !== request.status) fail(request, `status ${answer.status} instead of ${request.status}`);
    else if (!request.isRight(answer.body)) fail(request, `unexpected answer: ${JSON.stringify(answer.body).slice(0, 200)}`);
  }
}

/** Fails if an answer of the wrong shape passes: without this, a check that checks nothing would succeed. */
async function checkTheCheck(proxy, all) {
  for (const request of all.filter(({ takesAnything }) => !takesAnything)) {
    const answer = await send(proxy, request);
    if (!isPrismFault(answer)) fail(request, `an answer of the wrong shape passed with status ${answer.status}`);
  }
}

/** Fails if there is no request for an operation of the description. */
function checkCoverage(all) {
  for (const [method, path] of OPERATIONS) {
    const pattern = new RegExp(`^${path.replaceAll(/\{\w+\}/g, "[^/?]+")}(\\?|$)`);
    const asked = all.some((request) => request.method === method.toUpperCase() && pattern.test(request.path));
    if (!asked) fail({ method: method.toUpperCase(), path }, "no request uses it");
  }
}

const began = Date.now();
installPackages();
const description = writeDescription();
const fake = await startFake();
const wrong = await startFake("--fault", "wrong-shape");
const [proxy, wrongProxy, mock] = await Promise.all([
  startPrism("proxy", description, fake, "--errors"),
  startPrism("proxy", description, wrong, "--errors"),
  startPrism("mock", description),
]);

const all = requests(await readIds(fake));
checkCoverage(all);
await checkAnswers(proxy, all);
await checkTheCheck(wrongProxy, all);
for (const request of all) {
  const { status } = await send(mock, request);
  if (status !== request.status) fail(request, `the mock with GitHub's own examples answers ${status}`);
}

await stopAll();
for (const fault of faults) console.error(fault);
const secs = ((Date.now() - began) / 1000).toFixed(1);
console.log(
  `${OPERATIONS.length} operations, ${all.length} answers, ${all.length} wrong ones, ${all.length} examples: ` +
    `${faults.length} faults, ${secs} s`,
);
process.exit(faults.length === 0 ? 0 : 1);
