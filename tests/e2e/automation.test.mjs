// window.brokerlab: the vocabulary, its refusals, and the same bytes as the native engine.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ROOT, start } from "./page.mjs";

let site;
let page;
before(async () => {
  site = await start();
  page = await site.open();
  await page.evaluate(() => brokerlab.pause());
});
after(() => site.close());

/** What a call throws, as plain data. */
const refusal = (call) => page.evaluate((source) => {
  try {
    new Function("brokerlab", source)(window.brokerlab);
    return null;
  } catch (error) {
    return { isError: error instanceof Error, name: error.name, code: error.code, field: error.field, message: error.message };
  }
}, call);

test("a key lands on the partition that murmur2 gives it", async () => {
  const rows = readFileSync(join(ROOT, "tests/golden/murmur2.tsv"), "utf8").trim().split("\n").slice(1).map((row) => row.split("\t"));
  const utf8 = rows.map(([hex, , , p3]) => ({ key: Buffer.from(hex, "hex").toString(), hex, p3: Number(p3) })).filter((row) => row.key && Buffer.from(row.key).toString("hex") === row.hex);
  assert.ok(utf8.length > 10);
  await page.evaluate((rows) => {
    brokerlab.command({ type: "createTopic", name: "keyed", partitions: 3, replicationFactor: 3 });
    rows.forEach((row) => brokerlab.command({ type: "send", topic: "keyed", key: row.key, value: "{}" }));
    brokerlab.advance(3000);
  }, utf8);
  for (const partition of [0, 1, 2]) {
    const keys = await page.evaluate((partition) => brokerlab.messages({ topic: "keyed", partition }).map((message) => message.key), partition);
    assert.deepEqual(new Set(keys), new Set(utf8.filter((row) => row.p3 === partition).map((row) => row.key)));
  }
});

test("what is exported loads to the same hash, here and natively", async () => {
  const { saved, hash, again } = await page.evaluate(() => {
    brokerlab.command({ type: "crashBroker", broker: 2 });
    brokerlab.advance(20000);
    brokerlab.command({ type: "restartBroker", broker: 2 });
    brokerlab.advance(20000);
    const saved = brokerlab.export();
    const hash = brokerlab.traceHash();
    brokerlab.load(saved);
    return { saved, hash, again: brokerlab.traceHash() };
  });
  assert.equal(again, hash);
  const file = join(mkdtempSync(join(tmpdir(), "brokerlab-")), "saved.json");
  writeFileSync(file, JSON.stringify(saved));
  const native = execFileSync("cargo", ["run", "--quiet", "--bin", "simulate", "--", "--replay", file], { cwd: ROOT, encoding: "utf8" });
  assert.equal(native.trim(), `trace ${hash}`);
});

test("seek, undo and redo go about in time", async () => {
  const result = await page.evaluate(() => {
    const end = brokerlab.view().time;
    const hash = brokerlab.traceHash();
    const half = Math.floor(end / 2);
    brokerlab.seek(half);
    const middle = brokerlab.view().time;
    brokerlab.seek(end);
    const back = brokerlab.traceHash() === hash;
    brokerlab.command({ type: "send", topic: "keyed", key: "undone", value: "v" });
    brokerlab.advance(1000);
    const sent = brokerlab.traceHash();
    const undone = brokerlab.undo();
    const without = brokerlab.traceHash();
    const redone = brokerlab.redo();
    return { halfway: middle === half, back, undone, changed: without !== sent, redone, restored: brokerlab.traceHash() === sent };
  });
  assert.deepEqual(result, { halfway: true, back: true, undone: true, changed: true, redone: true, restored: true });
});

test("refusals are errors with Kafka's name and the field, and change nothing", async () => {
  const hash = await page.evaluate(() => brokerlab.traceHash());
  for (const [call, code, field] of [
    ["brokerlab.command({ type: 'createTopic', name: 'no/good', partitions: 1, replicationFactor: 1 })", "INVALID_TOPIC_EXCEPTION", "name"],
    ["brokerlab.command({ type: 'createTopic', name: 'x', partitions: 0, replicationFactor: 1 })", "INVALID_PARTITIONS", "partitions"],
    ["brokerlab.command({ type: 'createTopic', name: 'x', partitions: 1, replicationFactor: 4 })", "INVALID_REPLICATION_FACTOR", "replicationFactor"],
    ["brokerlab.command({ type: 'removeConsumer', id: 'nobody' })", "UNKNOWN_MEMBER_ID", "id"],
    ["brokerlab.command({ type: 'addProducer', id: 'p', topic: 'keyed', configs: { acks: '2' } })", "INVALID_CONFIG", "configs.acks"],
    ["brokerlab.command({ type: 'beginTransaction', producer: 'p' })", "UNSUPPORTED_VERSION", "type"],
    ["brokerlab.command({ type: 'noSuch' })", "INVALID_ARGUMENT", "type"],
    ["brokerlab.command({ type: 'crashBroker', broker: 'one' })", "INVALID_ARGUMENT", "broker"],
    ["brokerlab.command(() => 1)", "INVALID_ARGUMENT"],
    ["brokerlab.command({ type: 'crashBroker', broker: 1n })", "INVALID_ARGUMENT", "broker"],
    ["const loop = { type: 'send' }; loop.topic = loop; brokerlab.command(loop)", "INVALID_ARGUMENT"],
    ["brokerlab.command(new Proxy({}, { ownKeys() { throw new Error('no'); } }))", "INVALID_ARGUMENT"],
    ["brokerlab.advance(-1)", "INVALID_ARGUMENT", "ms"],
    ["brokerlab.advance(NaN)", "INVALID_ARGUMENT", "ms"],
    ["brokerlab.advance(Infinity)", "INVALID_ARGUMENT", "ms"],
    ["brokerlab.seek(-1)", "INVALID_ARGUMENT", "ms"],
    ["brokerlab.load({})", "INVALID_ARGUMENT", "format"],
  ]) {
    const error = await refusal(call);
    assert.ok(error, `${call} is not refused`);
    assert.ok(error.isError && error.name === "BrokerlabError" && error.message, call);
    assert.equal(error.code, code, call);
    if (field) assert.equal(error.field, field, call);
  }
  assert.equal(await page.evaluate(() => brokerlab.traceHash()), hash);
  assert.deepEqual(page.complaints, []);
});
