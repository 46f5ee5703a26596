import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

/** Every file below a folder, by its name there. */
function files(folder: string): Map<string, string> {
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) =>
    name.endsWith(".ts"),
  );
  return new Map(names.sort().map((name) => [name, readFileSync(join(folder, name), "utf8")]));
}

const HAS_TOOLS = ["buf", "python"].every((tool) => {
  try {
    execFileSync(tool, ["--version"]);
    return true;
  } catch {
    return false;
  }
});

test(
  "generated code is what the contract generates",
  { skip: !HAS_TOOLS && "NOT RUN: no buf, no python" },
  (t) => {
    const fresh = mkdtempSync(join(tmpdir(), "waypost-"));
    t.after(() => rmSync(fresh, { recursive: true }));
    execFileSync("sh", ["generate.sh", fresh]);
    assert.deepEqual(files("src/gen"), files(fresh), "after a change to proto/, run `npm run generate`");
  },
);
