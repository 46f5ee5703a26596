import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { MESH } from "./mesh.js";

test("the README's program prints what the README says", MESH, () => {
  const readme = readFileSync("README.md", "utf8");
  assert.ok(readme.includes("```ts\n" + readFileSync("examples/hello.ts", "utf8") + "```"));
  const printed = execFileSync(process.execPath, ["dist/examples/hello.js"], { encoding: "utf8" });
  assert.ok(readme.includes("```text\n" + printed + "```"), printed);
});
