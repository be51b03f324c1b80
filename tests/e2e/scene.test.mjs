// The page as a person uses it: by accessible names, with the mouse and with the keyboard.
import { readFileSync } from "node:fs";
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

/** The accessible names of the strips, and what the view says they should be. */
async function strips(page, topic) {
  const shown = () => page.getByRole("button", { name: new RegExp(`^${topic}-\\d+ on broker \\d+, `) }).evaluateAll((all) => all.map((one) => one.getAttribute("aria-label")).sort());
  const wanted = await page.evaluate((topic) => {
    const { brokers, topics } = brokerlab.view();
    const role = (partition, broker) => (brokers.find((one) => one.id === broker).state !== "running" ? "offline" : partition.leader === broker ? "leader" : "follower");
    return topics.find((one) => one.name === topic).partitions.flatMap((partition) => partition.replicas.map((replica) =>
      `${topic}-${partition.partition} on broker ${replica.broker}, ${role(partition, replica.broker)}, ${replica.inSync ? "in sync" : "out of sync"}, end offset ${replica.logEndOffset}, high watermark ${replica.highWatermark}`)).sort();
  }, topic);
  return { shown, wanted };
}

/** Waits until every strip is named as the view says. */
async function stripsFollow(page, topic) {
  const { shown, wanted } = await strips(page, topic);
  for (let tries = 0; tries < 40 && JSON.stringify(await shown()) !== JSON.stringify(wanted); tries += 1) await page.waitForTimeout(50);
  assert.deepEqual(await shown(), wanted);
  return wanted;
}

const paused = async (options) => {
  const page = await site.open(options);
  await page.getByRole("button", { name: "Pause", exact: true }).click();
  return page;
};

test("every strip is named as the view says: running, crashed, restarted, and in the past", async () => {
  const page = await paused();
  assert.equal((await stripsFollow(page, "user-events")).length, 9);
  const events = page.getByRole("region", { name: "Events", exact: true });
  await page.getByRole("button", { name: "Crash broker 2" }).click();
  await events.getByRole("cell", { name: "brokerCrashed" }).first().waitFor();
  await page.evaluate(() => brokerlab.advance(15_000));
  const down = await stripsFollow(page, "user-events");
  assert.equal(down.filter((name) => name.includes("on broker 2, offline, out of sync")).length, 3);
  await page.getByRole("button", { name: "Restart broker 2" }).click();
  await page.evaluate(() => brokerlab.advance(1_000));
  await events.getByRole("cell", { name: "brokerStarted" }).first().waitFor();
  await page.evaluate(() => brokerlab.advance(15_000));
  assert.ok((await stripsFollow(page, "user-events")).every((name) => name.includes(", in sync, ")));
  await page.evaluate(() => brokerlab.seek(5_000));
  await stripsFollow(page, "user-events");
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test("a refused topic changes nothing, and a field in error says so to a screen reader", async () => {
  const page = await paused();
  const before = await page.evaluate(() => brokerlab.traceHash());
  await page.getByRole("button", { name: "Create topic" }).first().click();
  const dialog = page.getByRole("dialog", { name: "Create topic" });
  for (const [field, value, code] of [["Topic", "no/good", "INVALID_TOPIC_EXCEPTION"], ["Partitions", "0", "INVALID_PARTITIONS"], ["Replication factor", "4", "INVALID_REPLICATION_FACTOR"], ["Topic", "user-events", "TOPIC_ALREADY_EXISTS"]]) {
    const box = dialog.getByLabel(field, { exact: true });
    const good = await box.inputValue();
    await box.fill(value);
    await dialog.getByRole("button", { name: "Create topic" }).click();
    await dialog.getByRole("alert").getByText(code).waitFor();
    assert.equal(await box.getAttribute("aria-invalid"), "true", code);
    await box.fill(good);
  }
  // Typed key by key: a field keeps the focus while what stands in it is no number yet.
  const partitions = dialog.getByLabel("Partitions", { exact: true });
  await partitions.fill("");
  await page.keyboard.type("1x");
  assert.equal(await dialog.getByRole("button", { name: "Create topic" }).getAttribute("aria-disabled"), "true");
  await page.keyboard.press("Backspace");
  await page.keyboard.type("2");
  assert.equal(await partitions.inputValue(), "12");
  assert.equal(await dialog.getByRole("button", { name: "Create topic" }).getAttribute("aria-disabled"), null);
  // The dialog keeps its keys even when nothing in it has the focus.
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press("Space");
  assert.equal((await page.evaluate(() => brokerlab.view())).playing, false);
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "hidden" });
  assert.equal(await page.evaluate(() => brokerlab.traceHash()), before);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test("clients are added and a record is sent through the dialogs", async () => {
  const page = await paused();
  const fill = async (button, fields, ...selects) => {
    await page.getByRole("button", { name: button, exact: true }).first().click();
    const dialog = page.getByRole("dialog", { name: button });
    for (const [label, value] of fields) await dialog.getByLabel(label, { exact: true }).fill(value);
    for (const [label, value] of selects) await dialog.getByLabel(label, { exact: true }).selectOption(value);
    await dialog.getByRole("button", { name: button, exact: true }).click();
    await dialog.waitFor({ state: "hidden" });
  };
  await fill("Add producer", [["Name", "till"], ["Records per second", "50"], ["Keys", "left, right"], ["Value", "{key}/{seq}"]], ["acks", "1"]);
  await fill("Add consumer", [["Name", "audit-1"], ["Group", "audit"]]);
  await fill("Send record", [["Key", "by hand"], ["Value", "hello"]]);
  await page.evaluate(() => brokerlab.advance(10_000));
  const view = await page.evaluate(() => brokerlab.view());
  const till = view.producers.find((producer) => producer.id === "till");
  assert.ok(till.acknowledged > 400 && till.configs.acks === "1", JSON.stringify(till));
  const audit = view.groups.find((group) => group.id === "audit");
  assert.equal(audit.state, "Stable");
  assert.equal(audit.members[0].assignment.length, 3);
  const records = await page.evaluate(() => [0, 1, 2].flatMap((partition) => brokerlab.messages({ topic: "user-events", partition, max: 10_000 })));
  assert.deepEqual(records.filter((record) => record.key === "by hand").map((record) => record.value), ["hello"]);
  assert.ok(records.filter((record) => record.key === "left").every((record) => record.value.startsWith("left/")));
  await page.getByRole("region", { name: "Producers" }).getByText("till", { exact: true }).waitFor();
  await page.getByRole("region", { name: "Consumer groups" }).getByText("audit-1", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Crash consumer audit-1" }).click();
  await page.waitForFunction(() => brokerlab.view().consumers.find((one) => one.id === "audit-1").state === "Crashed");
  await page.getByRole("button", { name: "Remove consumer analytics-2" }).click();
  await page.waitForFunction(() => brokerlab.view().consumers.every((one) => one.id !== "analytics-2"));
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test("a transaction is begun, committed and aborted by its producer's buttons, and the strips show what is open, aborted and a marker", async () => {
  const page = await site.open();
  await page.evaluate(() => {
    brokerlab.pause();
    brokerlab.command({ type: "addProducer", id: "shop", topic: "user-events", configs: { "transactional.id": "till" } });
    brokerlab.advance(2000);
  });
  const button = (word) => page.getByRole("button", { name: `${word} transaction of shop`, exact: true });
  const stands = (state) => page.waitForFunction((wanted) => brokerlab.view().producers.find((one) => one.id === "shop").transaction === wanted, state);
  const isOff = async (word) => (await button(word).getAttribute("aria-disabled")) === "true";
  const send = (value) => page.evaluate((value) => {
    brokerlab.command({ type: "send", producer: "shop", topic: "user-events", partition: 0, value });
    brokerlab.advance(300);
  }, value);
  const end = async (word) => {
    await button(word).click();
    await page.evaluate(() => brokerlab.advance(1000));
    await stands("READY");
  };
  await stands("READY");
  assert.deepEqual([await isOff("Begin"), await isOff("Commit"), await isOff("Abort")], [false, true, true]);
  for (const word of ["Commit", "Abort"]) {
    await button("Begin").click();
    await stands("IN_TRANSACTION");
    await send(word);
    if (word === "Abort") await page.locator(".cell.open").first().waitFor();
    await end(word);
  }
  await page.locator(".cell.aborted").first().waitFor();
  await page.locator('.cell.marker[data-k="✓"]').first().waitFor();
  await page.locator('.cell.marker[data-k="✕"]').first().waitFor();
  await page.getByRole("tab", { name: "Groups" }).click();
  await page.getByRole("row", { name: /till CompleteAbort/ }).waitFor();
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test("step, undo, redo and restart by their buttons; what would do nothing says why", async () => {
  const page = await paused();
  const look = () => page.evaluate(() => ({ time: brokerlab.view().time, hash: brokerlab.traceHash() }));
  const press = (name) => page.getByRole("button", { name, exact: true }).click();
  const first = await look();
  assert.equal(await page.getByRole("button", { name: "Undo", exact: true }).getAttribute("aria-disabled"), "true");
  await press("Step");
  assert.ok((await look()).time > first.time);
  // A step may end between two events of one moment; a command comes after all of them, and an undo goes back to just before it.
  await page.evaluate(() => brokerlab.seek(brokerlab.view().time));
  const second = await look();
  await page.getByRole("button", { name: "Crash broker 3" }).click();
  const crashed = await look();
  await press("Undo");
  assert.equal((await look()).hash, second.hash);
  await press("Redo");
  assert.equal((await look()).hash, crashed.hash);
  await press("Restart");
  assert.equal((await look()).time, 10_000);
  await press("Restart");
  assert.equal((await look()).time, 0);
  assert.equal(await page.getByRole("button", { name: "Restart", exact: true }).getAttribute("aria-disabled"), "true");
  await page.evaluate(() => brokerlab.seek(brokerlab.view().latest));
  assert.equal((await look()).hash, crashed.hash);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test("the arrows step there and back, ? lists the keys, and a field keeps what is typed", async () => {
  const page = await paused();
  const look = () => page.evaluate(() => ({ time: brokerlab.view().time, hash: brokerlab.traceHash(), playing: brokerlab.view().playing, speed: brokerlab.view().speed }));
  await page.evaluate(() => document.activeElement.blur());
  const first = await look();
  await page.keyboard.press("ArrowRight");
  await page.waitForFunction((time) => brokerlab.view().time > time, first.time);
  for (const [key, kinds] of [["Shift+ArrowRight", /^requestSent$/], ["Control+ArrowRight", /./]]) {
    const { hash } = await look();
    await page.keyboard.press(key);
    await page.waitForFunction((hash) => brokerlab.traceHash() !== hash, hash);
    assert.match(await page.evaluate(() => brokerlab.events().at(-1).kind), kinds);
  }
  const there = await look();
  await page.keyboard.press("ArrowLeft");
  await page.waitForFunction((time) => brokerlab.view().time < time, there.time);
  await page.keyboard.press("ArrowUp");
  await page.waitForFunction((speed) => brokerlab.view().speed > speed, there.speed);
  await page.keyboard.press("?");
  const help = page.getByRole("dialog");
  await help.getByText("Play or pause").waitFor();
  await page.keyboard.press("Escape");
  await help.waitFor({ state: "hidden" });
  await page.getByRole("button", { name: "Create topic" }).first().click();
  await page.getByRole("dialog").getByLabel("Topic", { exact: true }).fill("");
  const before = await look();
  await page.keyboard.type("a b?");
  await page.keyboard.press("ArrowLeft");
  assert.equal(await page.getByRole("dialog").getByLabel("Topic", { exact: true }).inputValue(), "a b?");
  assert.deepEqual(await look(), before);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test("the theme is the system's until one is chosen, and the choice is kept", async () => {
  const page = await site.open({ colorScheme: "dark" });
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const dark = await ground();
  await page.getByRole("button", { name: "Light theme" }).click();
  await page.waitForFunction((dark) => getComputedStyle(document.body).backgroundColor !== dark, dark);
  const light = await ground();
  await page.reload();
  await page.waitForFunction(() => window.brokerlab);
  assert.equal(await ground(), light);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test("on a phone every dialog, tab and drawer fits, and every control is within reach", async () => {
  const page = await paused({ viewport: { width: 360, height: 780 } });
  /** What sticks out to the right and is not inside something that scrolls by itself. */
  const outside = () => page.evaluate(() => {
    const scrolls = (element) => element && (["auto", "scroll", "hidden", "clip"].includes(getComputedStyle(element).overflowX) || scrolls(element.parentElement));
    const all = [...document.querySelectorAll("button, input, select, textarea, a, p, h1, h2, h3")];
    return all.filter((one) => one.checkVisibility({ visibilityProperty: true }) && one.getBoundingClientRect().right > innerWidth + 1 && !scrolls(one.parentElement))
      .map((one) => `${one.tagName} ${one.getAttribute("aria-label") ?? one.textContent}`.slice(0, 80))
      .concat(document.documentElement.scrollWidth > innerWidth ? [`the page is ${document.documentElement.scrollWidth} wide`] : []);
  });
  assert.deepEqual(await outside(), []);
  for (const tab of ["Topics", "Messages", "Groups", "Brokers", "Events"]) {
    await page.getByRole("tab", { name: tab, exact: true }).click();
    assert.deepEqual(await outside(), [], tab);
  }
  for (const name of ["Create topic", "Add producer", "Add consumer", "Send record", "Import records", "Help"]) {
    await page.getByRole("button", { name, exact: true }).first().click();
    await page.getByRole("dialog").waitFor();
    assert.deepEqual(await outside(), [], name);
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "hidden" });
  }
  await page.getByRole("button", { name: "Lessons", exact: true }).click();
  await page.getByRole("region", { name: "Lesson", exact: true }).waitFor();
  assert.deepEqual(await outside(), [], "Lessons");
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test("an engine that stops says so, and gives the session out that was kept", async () => {
  const page = await site.open();
  await page.waitForFunction(() => sessionStorage.getItem("brokerlab.rescue"));
  const message = page.getByRole("alertdialog", { name: "The engine has stopped" });
  const raise = (wasm) => page.evaluate((wasm) => {
    const error = wasm ? new WebAssembly.RuntimeError("unreachable") : new Error("an extension's own");
    dispatchEvent(new ErrorEvent("error", { error }));
  }, wasm);
  await raise(false);
  assert.equal(await message.isVisible(), false);
  await raise(true);
  await message.waitFor();
  const [file] = await Promise.all([page.waitForEvent("download"), message.getByRole("button", { name: "Export the session" }).click()]);
  const saved = JSON.parse(readFileSync(await file.path(), "utf8"));
  assert.equal(saved.format, "brokerlab");
  await message.getByRole("button", { name: "Reload" }).click();
  await page.waitForFunction(() => window.brokerlab && document.getElementById("stopped").hidden);
  await page.context().close();
});
