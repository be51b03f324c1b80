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

for (const colorScheme of ["light", "dark"]) {
  test(`axe finds nothing serious in dialogs, drawers and on a phone in ${colorScheme}`, async () => {
    // Without motion: a dialog that is half faded in has half its contrast.
    const page = await site.open({ colorScheme, bypassCSP: true, reducedMotion: "reduce" });
    await page.addScriptTag({ content: axe });
    await page.evaluate(() => {
      brokerlab.pause();
      brokerlab.command({ type: "crashBroker", broker: 2 });
      brokerlab.command({ type: "crashConsumer", id: "analytics-1" });
      brokerlab.advance(2000);
    });
    const check = async (where) => {
      const { violations } = await page.evaluate(() => axe.run());
      const serious = violations.filter((found) => ["serious", "critical"].includes(found.impact));
      assert.deepEqual(serious.map((found) => `${found.id}: ${found.nodes[0].html}`), [], where);
    };
    await check("a crashed broker");
    for (const name of ["Create topic", "Add producer", "Add consumer", "Send record", "Import records", "Help"]) {
      await page.getByRole("button", { name, exact: true }).first().click();
      await page.getByRole("dialog").waitFor();
      await check(name);
      await page.keyboard.press("Escape");
      await page.getByRole("dialog").waitFor({ state: "hidden" });
    }
    await page.getByRole("button", { name: "Create topic" }).first().click();
    await page.getByRole("dialog").getByLabel("Topic", { exact: true }).fill("no/good");
    await page.getByRole("dialog").getByRole("button", { name: "Create topic" }).click();
    await page.getByRole("alert").waitFor();
    await check("a refusal");
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "web-shop", exact: true }).click();
    await page.getByRole("region", { name: "Inspector" }).waitFor();
    await check("the inspector");
    await page.getByRole("button", { name: "Lessons", exact: true }).click();
    await check("the list of lessons");
    await page.getByRole("region", { name: "Lesson", exact: true }).getByRole("link").first().click();
    await page.getByRole("button", { name: /^Hint/ }).click();
    await check("a lesson");
    await page.setViewportSize({ width: 360, height: 780 });
    await check("a lesson on a phone");
    await page.getByRole("button", { name: "Close lessons" }).click();
    await check("a phone");
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
