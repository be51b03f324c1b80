// Real input through the dialog: pasted, from a file, malformed, long.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { start } from "./page.mjs";

const LINES = 100_000;

let site;
before(async () => {
  site = await start();
});
after(() => site.close());

/** The open import dialog of a fresh, paused page. */
async function dialog() {
  const page = await site.open();
  await page.evaluate(() => brokerlab.pause());
  await page.getByRole("button", { name: "Import records" }).first().click();
  return { page, form: page.getByRole("dialog") };
}

const sent = (page) => page.evaluate(() => brokerlab.view().producers.find((producer) => producer.id === "console-producer")?.sent ?? 0);

test("pasted JSON lines go through a producer, and a malformed one is reported with its number", async () => {
  const { page, form } = await dialog();
  await form.getByRole("textbox").first().fill('{"user":"ann","n":1}\n{"user":"bob"\n{"user":"ann","n":2}');
  await form.getByLabel("Key field").selectOption("user");
  await form.getByRole("button", { name: "Import", exact: true }).click();
  const report = form.getByRole("table").filter({ hasText: "Why it was not sent" });
  await report.waitFor();
  assert.equal(await report.locator("tbody tr").count(), 1);
  assert.equal(await report.locator("tbody td").first().textContent(), "2");
  assert.equal(await sent(page), 2);
  await page.evaluate(() => brokerlab.advance(3000));
  const keys = await page.evaluate(() => [0, 1, 2].flatMap((partition) => brokerlab.messages({ topic: "user-events", partition })).filter((m) => m.key === "ann").map((m) => JSON.parse(m.value).n));
  assert.deepEqual(keys, [1, 2]);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test("a hundred thousand lines of CSV stay responsive, and markup in names stays text", async () => {
  const { page, form } = await dialog();
  const rows = Array.from({ length: LINES }, (_, index) => `user_${index % 50},"<b>${index}</b>"`);
  await page.evaluate(() => {
    const watch = (window.watch_ = { longest: 0, last: performance.now() });
    const look = (now) => {
      watch.longest = Math.max(watch.longest, now - watch.last);
      watch.last = now;
      requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  });
  await form.locator("input[type=file]").setInputFiles({ name: "<img src=x>.csv", mimeType: "text/csv", buffer: Buffer.from(["user,note", ...rows].join("\n")) });
  await form.getByLabel("Key field").selectOption("user");
  await page.evaluate(() => Object.assign(window.watch_, { longest: 0, last: performance.now() }));
  await form.getByRole("button", { name: "Import", exact: true }).click();
  await page.waitForFunction((lines) => brokerlab.view().producers.some((producer) => producer.id === "console-producer" && producer.sent === lines), LINES, { timeout: 60000 });
  console.log(`figure import: ${LINES} lines, longest gap between frames ${(await page.evaluate(() => window.watch_.longest)).toFixed(0)} ms`);
  assert.equal(await page.locator("img").count(), 0);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});
