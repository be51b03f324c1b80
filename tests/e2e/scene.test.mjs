// The page as a person uses it: by accessible names, with the mouse and with the keyboard.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { start } from "./page.mjs";

let site;
before(async () => {
  site = await start();
});
after(() => site.close());

test("the page opens with a scene that is running", async () => {
  const page = await site.open();
  for (const name of ["Producers", "Cluster", "Consumer groups", "Timeline", "Events"]) {
    await page.getByRole("region", { name, exact: true }).first().waitFor();
  }
  const first = await page.evaluate(() => brokerlab.view());
  assert.ok(first.playing);
  assert.deepEqual(first.topics.filter((topic) => !topic.internal).map((topic) => [topic.name, topic.partitions.length]), [["user-events", 3]]);
  assert.deepEqual([first.producers.length, first.groups.length, first.consumers.length], [2, 1, 2]);
  await page.waitForFunction((time) => time < brokerlab.view().time, first.time);
  await page.getByRole("button", { name: "Pause", exact: true }).click();
  assert.equal((await page.evaluate(() => brokerlab.view())).playing, false);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test("a topic is created in the dialog, and a bad name gets Kafka's answer there", async () => {
  const page = await site.open();
  await page.getByRole("button", { name: "Pause", exact: true }).click();
  await page.getByRole("button", { name: "Create topic" }).first().click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Topic", { exact: true }).fill("no/good");
  await dialog.getByRole("button", { name: "Create topic" }).click();
  await dialog.getByText("INVALID_TOPIC_EXCEPTION").waitFor();
  await dialog.getByLabel("Topic", { exact: true }).fill("payments");
  await dialog.getByLabel("Partitions", { exact: true }).fill("2");
  await dialog.getByRole("button", { name: "Create topic" }).click();
  await dialog.waitFor({ state: "hidden" });
  const topics = await page.evaluate(() => brokerlab.view().topics.map((topic) => [topic.name, topic.partitions.length]));
  assert.ok(topics.some(([name, partitions]) => name === "payments" && partitions === 2));
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test("a broker is crashed and restarted by its buttons, and the strips say so", async () => {
  const page = await site.open();
  await page.getByRole("button", { name: "Pause", exact: true }).click();
  await page.getByRole("button", { name: "Crash broker 2" }).click();
  assert.equal((await page.evaluate(() => brokerlab.view().brokers[1])).state, "crashed");
  await page.evaluate(() => brokerlab.advance(15000));
  const strip = await page.evaluate(() => {
    const partition = brokerlab.view().topics[0].partitions[0];
    const leader = partition.replicas.find((replica) => replica.broker === partition.leader);
    return `user-events-0 on broker ${leader.broker}, leader, in sync, end offset ${leader.logEndOffset}, high watermark ${leader.highWatermark}`;
  });
  await page.getByLabel(strip, { exact: true }).first().waitFor();
  await page.getByRole("button", { name: "Restart broker 2" }).click();
  await page.evaluate(() => brokerlab.advance(15000));
  assert.equal((await page.evaluate(() => brokerlab.view().brokers[1])).state, "running");
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test("the keyboard plays, pauses and undoes", async () => {
  const page = await site.open();
  await page.getByRole("button", { name: "Pause", exact: true }).click();
  await page.locator("body").click({ position: { x: 700, y: 480 } });
  await page.keyboard.press("Space");
  await page.waitForFunction(() => brokerlab.view().playing);
  await page.keyboard.press("Space");
  await page.waitForFunction(() => !brokerlab.view().playing);
  await page.evaluate(() => brokerlab.command({ type: "createTopic", name: "mistake", partitions: 1, replicationFactor: 1 }));
  await page.keyboard.press("Control+z");
  await page.waitForFunction(() => brokerlab.view().topics.every((topic) => topic.name !== "mistake"));
  await page.keyboard.press("Control+Shift+z");
  await page.waitForFunction(() => brokerlab.view().topics.some((topic) => topic.name === "mistake"));
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test("nothing overflows on a phone, in light and dark", async () => {
  for (const colorScheme of ["light", "dark"]) {
    const page = await site.open({ viewport: { width: 360, height: 780 }, colorScheme });
    const [wide, inner] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(wide <= inner, `${wide} > ${inner}`);
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  }
});

test("records are imported, a malformed line is reported with its number, and markup stays text", async () => {
  const page = await site.open();
  await page.getByRole("button", { name: "Pause", exact: true }).click();
  const text = ['{"user":"<img src=x onerror=alert(1)>","n":1}', "not json", '{"user":"bob","n":2}'].join("\n");
  const answer = await page.evaluate((text) => brokerlab.command({ type: "import", topic: "user-events", format: "jsonl", text, keyField: "user" }), text);
  assert.equal(answer.queued, 2);
  assert.deepEqual(answer.rejected.map((one) => one.line), [2]);
  await page.evaluate(() => brokerlab.advance(2000));
  await page.getByRole("tab", { name: "Messages" }).click();
  assert.equal(await page.locator("img").count(), 0);
  await page.getByRole("button", { name: "Import records" }).first().click();
  await page.getByRole("dialog").waitFor();
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test("a link opens a lesson, and its solution ticks the goals", async () => {
  const page = await site.open({ hash: "#/lesson/keys" });
  const lesson = page.getByRole("region", { name: "Lesson", exact: true });
  await lesson.waitFor();
  await lesson.getByRole("button", { name: "Hint 1 of 3" }).click();
  await lesson.getByRole("button", { name: "Solution" }).click();
  await page.waitForFunction(() => brokerlab.view().producers.some((producer) => producer.sent === 5 && producer.acknowledged === 5), null, { timeout: 20000 });
  await lesson.getByText("4 of 4").waitFor();
  await lesson.getByRole("button", { name: "Reset" }).click();
  await lesson.getByText("0 of 4").waitFor();
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});
