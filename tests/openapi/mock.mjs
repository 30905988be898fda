// Serves the examples of GitHub's OpenAPI description until it is stopped, and prints the address:
//   node tests/openapi/mock.mjs
// or while a command runs, with the address in PRISM_MOCK_URL:
//   node tests/openapi/mock.mjs cargo test -p monitor-github

import { writeDescription } from "./description.mjs";
import { installPackages, run, startPrism, stopAll } from "./processes.mjs";

installPackages();
const url = await startPrism("mock", writeDescription());
const command = process.argv.slice(2);
if (command.length > 0) {
  const code = await run(command, { PRISM_MOCK_URL: url });
  await stopAll();
  process.exit(code);
}
console.log(url);
