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
    ["brokerlab.command({ type: 'beginTransaction', producer: 'nobody' })", "INVALID_ARGUMENT", "producer"],
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
    ["brokerlab.messages({ topic: 'keyed', partition: 'x' })", "INVALID_ARGUMENT", "partition"],
    ["brokerlab.messages({ topic: 'keyed', partition: 0, from: 1 })", "INVALID_ARGUMENT", "from"],
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

/** Kafka's murmur2, written from its description: 4 bytes at a time, little end first, seed 0x9747b28c. */
function murmur2(text) {
  const bytes = Buffer.from(text, "utf8");
  const M = 0x5bd1e995;
  let hash = 0x9747b28c ^ bytes.length;
  let at = 0;
  for (; at + 4 <= bytes.length; at += 4) {
    let word = Math.imul(bytes.readInt32LE(at), M);
    word = Math.imul(word ^ (word >>> 24), M);
    hash = Math.imul(hash, M) ^ word;
  }
  const rest = bytes.length - at;
  if (rest > 2) hash ^= bytes[at + 2] << 16;
  if (rest > 1) hash ^= bytes[at + 1] << 8;
  if (rest > 0) hash = Math.imul(hash ^ bytes[at], M);
  hash = Math.imul(hash ^ (hash >>> 13), M);
  return hash ^ (hash >>> 15);
}

test("keys that no table holds land where murmur2 puts them", async () => {
  const table = readFileSync(join(ROOT, "tests/golden/murmur2.tsv"), "utf8").trim().split("\n").slice(1).map((row) => row.split("\t"));
  for (const [hex, hash] of table) {
    const text = Buffer.from(hex, "hex").toString();
    if (Buffer.from(text).toString("hex") === hex) assert.equal(murmur2(text), Number(hash), hex);
  }
  const keys = Array.from({ length: 40 }, (_, index) => `schlüssel-${index * index}-${"🗝".repeat(index % 4)}`);
  const found = await page.evaluate((keys) => {
    brokerlab.command({ type: "createTopic", name: "computed", partitions: 7, replicationFactor: 1 });
    keys.forEach((key) => brokerlab.command({ type: "send", topic: "computed", key, value: null }));
    brokerlab.advance(3000);
    return [0, 1, 2, 3, 4, 5, 6].flatMap((partition) => brokerlab.messages({ topic: "computed", partition }).map((message) => [message.key, message.partition, message.value]));
  }, keys);
  assert.deepEqual(new Map(found.map(([key, partition]) => [key, partition])), new Map(keys.map((key) => [key, (murmur2(key) & 0x7fffffff) % 7])));
  assert.ok(found.every(([, , value]) => value === null), "null stays null");
});

test("the surface is the documented one, and cannot be replaced", async () => {
  const surface = await page.evaluate(() => Object.entries(brokerlab).map(([name, value]) => `${name}: ${typeof value}`));
  const methods = ["load", "export", "command", "advance", "step", "seek", "undo", "redo", "play", "pause", "view", "events", "messages", "traceHash"];
  assert.deepEqual(surface.sort(), [...methods.map((name) => `${name}: function`), "version: string"].sort());
  for (const call of ["'use strict'; brokerlab.view = 1", "'use strict'; delete brokerlab.load", "'use strict'; window.brokerlab = {}"]) {
    assert.equal((await refusal(call))?.name, "TypeError", call);
  }
});

test("times that are none are refused, and so is all else that is no argument", async () => {
  const before = await page.evaluate(() => [brokerlab.traceHash(), brokerlab.view().time]);
  for (const method of ["advance", "seek"]) {
    for (const value of ["-1", "-1e-9", "NaN", "Infinity", "-Infinity", "1e300", "'5'", "", "null", "{}", "[5]", "true", "5n", "() => 5", "Symbol()"]) {
      const error = await refusal(`brokerlab.${method}(${value})`);
      assert.deepEqual([error?.name, error?.code, error?.field], ["BrokerlabError", "INVALID_ARGUMENT", "ms"], `${method}(${value})`);
    }
  }
  for (const [call, field] of [["step('year')", "kind"], ["step(1)", "kind"], ["play(0)", "speed"], ["play(-1)", "speed"], ["play(NaN)", "speed"], ["play('fast')", "speed"], ["events(-1)", "since"], ["events(0.5)", "since"]]) {
    const error = await refusal(`brokerlab.${call}`);
    assert.deepEqual([error?.name, error?.code, error?.field], ["BrokerlabError", "INVALID_ARGUMENT", field], call);
  }
  assert.deepEqual(await page.evaluate(() => [brokerlab.traceHash(), brokerlab.view().time]), before);
});

test("hostile values are refusals like any other", async () => {
  const before = await page.evaluate(() => JSON.stringify(brokerlab.export()));
  for (const value of [
    "{ type: 'send', get topic() { throw new Error('no'); } }",
    "new Proxy({ type: 'send' }, { get() { throw new Error('no'); } })",
    "new Proxy({ type: 'send' }, { getOwnPropertyDescriptor() { throw new Error('no'); } })",
    "(() => { const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); return proxy; })()",
    "(() => { const { proxy, revoke } = Proxy.revocable([], {}); revoke(); return { type: 'send', headers: proxy }; })()",
    "{ type: 'send', headers: new Proxy([1], { get() { throw new Error('no'); } }) }",
    "{ type: 'send', topic: 'keyed', value: 'v', headers: new Array(4e9) }",
    "{ type: 'send', topic: 'keyed', value: () => 1 }",
    "{ type: 'send', topic: 'keyed', value: Symbol() }",
    "{ type: 'send', topic: 'keyed', value: 1n }",
    "{ type: 'send', topic: 'keyed', value: NaN }",
    "Object.create({ type: 'send' })",
    "new Map([['type', 'send']])",
    "document.body",
    "window",
    "JSON.parse('['.repeat(5000) + ']'.repeat(5000))",
    "null",
    "undefined",
  ]) {
    for (const method of ["command", "load", "messages"]) {
      const error = await refusal(`brokerlab.${method}(${value})`);
      assert.ok(error?.name === "BrokerlabError" && error.isError && error.code && error.message, `${method}(${value}): ${JSON.stringify(error)}`);
    }
  }
  assert.equal(await page.evaluate(() => JSON.stringify(brokerlab.export())), before);
  // A value that calls back in while it is read.
  assert.equal((await refusal("brokerlab.command({ type: 'removeProducer', get id() { brokerlab.advance(1); return 'nobody'; } })")).code, "INVALID_ARGUMENT");
  assert.deepEqual(page.complaints, []);
});

test("a saved session that is refused names the place, and the old session stands", async () => {
  const before = await page.evaluate(() => [brokerlab.traceHash(), JSON.stringify(brokerlab.export())]);
  for (const [change, field] of [
    ["saved.commands[1].command.topic = 'no/good'", "commands[1].command.topic"],
    ["saved.commands[0].command.partitions = 0", "commands[0].command.partitions"],
    ["saved.commands[1].at = -1", "commands[1].at"],
    ["saved.commands[1].extra = 1", "commands[1].extra"],
    ["saved.cluster.brokers = 0", "cluster.brokers"],
    ["saved.seed = -1", "seed"],
    ["saved.seed = 2 ** 53", "seed"],
    ["saved.until = 1", "until"],
    ["saved.version = 2", "version"],
    ["delete saved.commands", "commands"],
  ]) {
    const error = await refusal(`const saved = brokerlab.export(); ${change}; brokerlab.load(saved)`);
    assert.deepEqual([error?.name, error?.field], ["BrokerlabError", field], change);
  }
  assert.deepEqual(await page.evaluate(() => [brokerlab.traceHash(), JSON.stringify(brokerlab.export())]), before);
});

test("a speed beyond all measure plays, and an ordinary one does afterwards", async () => {
  const time = () => page.evaluate(() => brokerlab.view().time);
  for (const speed of [1e300, Number.MAX_VALUE, 1]) {
    const from = await time();
    await page.evaluate((speed) => brokerlab.play(speed), speed);
    await page.waitForFunction((from) => from + 50 < brokerlab.view().time, from);
    await page.evaluate(() => brokerlab.pause());
  }
  // At real time again, not at the speed before.
  const from = await time();
  await page.evaluate(() => brokerlab.play(0.001));
  await page.waitForTimeout(500);
  await page.evaluate(() => brokerlab.pause());
  assert.ok((await time()) - from < 1000);
  assert.deepEqual(page.complaints, []);
});
