// What a machine can tell of accessibility, in both themes; and the content security policy.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { start } from "./page.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

let site;
before(async () => {
  site = await start();
});
after(() => site.close());

for (const colorScheme of ["light", "dark"]) {
  test(`axe finds nothing serious in ${colorScheme}`, async () => {
    // The policy forbids foreign scripts, and axe is one: for this test alone it is set aside.
    const page = await site.open({ colorScheme, bypassCSP: true });
    await page.evaluate(() => brokerlab.pause());
    await page.addScriptTag({ content: axe });
    for (const tab of ["Events", "Topics", "Messages", "Groups", "Brokers"]) {
      await page.getByRole("tab", { name: tab, exact: true }).click();
      const { violations } = await page.evaluate(() => axe.run());
      const serious = violations.filter((found) => ["serious", "critical"].includes(found.impact));
      assert.deepEqual(serious.map((found) => `${found.id}: ${found.nodes[0].html}`), [], tab);
    }
    await page.context().close();
  });
}

test("the policy allows no inline script", async () => {
  const page = await site.open();
  const policy = await page.evaluate(() => document.querySelector("meta[http-equiv='Content-Security-Policy']").content);
  const scripts = policy.split(";").map((rule) => rule.trim()).find((rule) => rule.startsWith("script-src"));
  assert.ok(scripts && !scripts.includes("unsafe-inline") && !scripts.includes("'unsafe-eval'"), policy);
  assert.equal(await page.locator("script:not([src])").count(), 0);
  await page.context().close();
});
