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

test("CSV is read by its header, and a short row is reported with its line", async () => {
  const { page, form } = await dialog();
  await form.getByRole("textbox").first().fill('user,note\nann,"two\nlines"\nbob\ncarl,"a ""quote"""');
  assert.equal(await form.getByLabel("Format").inputValue(), "csv", "guessed");
  await form.getByLabel("Key field").selectOption("user");
  await form.getByRole("button", { name: "Import", exact: true }).click();
  const status = form.getByRole("status");
  await status.getByText("2 sent, 1 not sent").waitFor();
  assert.deepEqual(await status.locator("tbody td").allTextContents(), ["4", "1 fields, but the header has 2"]);
  await page.evaluate(() => brokerlab.advance(3000));
  const records = await page.evaluate(() => [0, 1, 2].flatMap((partition) => brokerlab.messages({ topic: "user-events", partition, max: 1000 })).filter((m) => ["ann", "carl"].includes(m.key)).map((m) => [m.key, JSON.parse(m.value)]));
  assert.deepEqual(Object.fromEntries(records), { ann: { user: "ann", note: "two\nlines" }, carl: { user: "carl", note: 'a "quote"' } });
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test("line numbers count from the file's start, however long it is", async () => {
  const { page, form } = await dialog();
  const lines = Array.from({ length: 5000 }, (_, index) => `{"n":${index + 1}}`);
  for (const bad of [1, 500, 501, 2750, 5000]) lines[bad - 1] = "{";
  await form.locator("input[type=file]").setInputFiles({ name: "numbers.jsonl", mimeType: "text/plain", buffer: Buffer.from(lines.join("\r\n")) });
  await form.getByRole("button", { name: "Import", exact: true }).click();
  await form.getByText("4,995 sent, 5 not sent").waitFor();
  assert.deepEqual(await form.getByRole("status").locator("tbody td:first-child").allTextContents(), ["1", "500", "501", "2750", "5000"]);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test("a long import is cancelled: what went in stays, and nothing more goes in", async () => {
  const { page, form } = await dialog();
  const lines = Array.from({ length: LINES }, (_, index) => `{"n":${index}}`);
  await form.locator("input[type=file]").setInputFiles({ name: "long.jsonl", mimeType: "text/plain", buffer: Buffer.from(lines.join("\n")) });
  await form.getByRole("button", { name: "Import", exact: true }).click();
  await page.waitForFunction(() => brokerlab.view().producers.some((producer) => producer.id === "console-producer" && producer.sent > 0));
  await form.getByRole("button", { name: "Cancel", exact: true }).click();
  await form.getByText("Cancelled", { exact: true }).waitFor();
  const after = await sent(page);
  assert.ok(after > 0 && after < LINES, `${after}`);
  await page.waitForTimeout(500);
  assert.equal(await sent(page), after);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test("markup in keys, values, headers and names is text wherever it is shown", async () => {
  const page = await site.open();
  const MARK = "<marquee onstart=alert(1)>x</marquee>";
  await page.evaluate((mark) => {
    brokerlab.pause();
    brokerlab.command({ type: "addProducer", id: mark, topic: "user-events" });
    brokerlab.command({ type: "addConsumer", id: `c${mark}`, group: `g${mark}`, topics: ["user-events"] });
    brokerlab.command({ type: "send", producer: mark, topic: "user-events", partition: 0, key: mark, value: mark, headers: [[mark, mark]] });
    brokerlab.advance(10_000);
  }, MARK);
  const none = async (where) => {
    assert.equal(await page.locator("marquee").count(), 0, where);
    assert.ok((await page.getByText(MARK).count()) > 0, `${where} does not show it`);
  };
  await none("the picture");
  for (const tab of ["Messages", "Groups", "Events"]) {
    await page.getByRole("tab", { name: tab, exact: true }).click();
    await none(tab);
  }
  const offset = await page.evaluate((mark) => brokerlab.messages({ topic: "user-events", partition: 0, max: 10_000 }).find((m) => m.key === mark).offset, MARK);
  await page.getByRole("tab", { name: "Messages", exact: true }).click();
  await page.getByRole("button", { name: `Offset ${offset}`, exact: true }).click();
  await page.getByRole("region", { name: "Inspector" }).getByText(MARK).first().waitFor();
  await none("the inspector");
  await page.getByRole("button", { name: `Remove producer ${MARK}` }).click();
  await page.getByRole("button", { name: "Import records" }).first().click();
  await page.getByRole("dialog").getByRole("textbox").first().fill(`{"${MARK.replaceAll('"', "")}":1}\n${MARK}`);
  await page.getByRole("dialog").getByRole("button", { name: "Import", exact: true }).click();
  await page.getByRole("dialog").getByText("1 sent, 1 not sent").waitFor();
  assert.equal(await page.locator("marquee").count(), 0);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});
