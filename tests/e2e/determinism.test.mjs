// One history, however it comes about: played frame by frame, advanced at once, loaded again, and run natively.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ROOT, start } from "./page.mjs";

let site;
let folder;
before(async () => {
  site = await start();
  folder = mkdtempSync(join(tmpdir(), "brokerlab-"));
});
after(async () => {
  await site.close();
  rmSync(folder, { recursive: true });
});

/** The hash that the native program prints for a saved session. */
function native(saved) {
  const file = join(folder, "saved.json");
  writeFileSync(file, JSON.stringify(saved));
  return execFileSync("cargo", ["run", "--quiet", "--bin", "simulate", "--", "--replay", file], { cwd: ROOT, encoding: "utf8" }).trim();
}

test("the scene to 60 s with a crash and a restart: page, loaded again, native", async () => {
  const page = await site.open();
  const { saved, hash, again, other } = await page.evaluate(() => {
    brokerlab.pause();
    const scene = brokerlab.export();
    brokerlab.load({ ...scene, until: 10_000 });
    brokerlab.advance(10_000);
    brokerlab.command({ type: "crashBroker", broker: 2 });
    brokerlab.advance(15_000);
    brokerlab.command({ type: "restartBroker", broker: 2 });
    brokerlab.advance(25_000);
    const saved = brokerlab.export();
    const hash = brokerlab.traceHash();
    brokerlab.load(saved);
    const again = brokerlab.traceHash();
    brokerlab.load({ ...saved, seed: saved.seed + 1 });
    return { saved, hash, again, other: brokerlab.traceHash() };
  });
  assert.equal(saved.until, 60_000);
  assert.match(hash, /^[0-9a-f]+$/);
  assert.equal(again, hash);
  assert.notEqual(other, hash, "another seed is another history");
  assert.equal(native(saved), `trace ${hash}`);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test("a share group that is given records, loses a member and reads on: page, loaded again, native", async () => {
  const page = await site.open();
  const { saved, hash, again, group } = await page.evaluate(() => {
    brokerlab.pause();
    brokerlab.command({ type: "alterConfigs", resource: "group", name: "workers", set: { "share.auto.offset.reset": "earliest" } });
    brokerlab.command({ type: "createTopic", name: "jobs", partitions: 1, replicationFactor: 3 });
    for (const id of ["anna", "ben"]) {
      const configs = { "group.protocol": "share", "max.poll.records": "1" };
      brokerlab.command({ type: "addConsumer", id, group: "workers", topics: ["jobs"], processingMs: 200, configs });
    }
    brokerlab.advance(15_000);
    for (let job = 0; job < 20; job += 1) {
      brokerlab.command({ type: "send", topic: "jobs", key: null, value: `job ${job}` });
      brokerlab.advance(20);
    }
    brokerlab.command({ type: "crashConsumer", id: "anna" });
    brokerlab.advance(20_000);
    const group = brokerlab.view().groups.find(({ id }) => id === "workers");
    const saved = brokerlab.export();
    const hash = brokerlab.traceHash();
    brokerlab.load(saved);
    return { saved, hash, again: brokerlab.traceHash(), group };
  });
  assert.equal(group.protocol, "share");
  assert.deepEqual(group.offsets.map(({ committed, lag, acquired }) => ({ committed, lag, acquired })), [{ committed: 20, lag: 0, acquired: 0 }]);
  assert.equal(again, hash);
  assert.equal(native(saved), `trace ${hash}`);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test("played live by its buttons, whatever the frames were: the same history when replayed", async () => {
  const page = await site.open();
  await page.evaluate(() => brokerlab.play(10));
  const lived = (ms) => page.waitForFunction((ms) => brokerlab.view().time > ms, ms);
  await lived(15_000);
  await page.getByRole("button", { name: "Crash broker 2" }).click();
  await lived(30_000);
  await page.getByRole("button", { name: "Restart broker 2" }).click();
  await lived(45_000);
  await page.getByRole("button", { name: "Pause", exact: true }).click();
  await page.getByRole("button", { name: "Step", exact: true }).click();
  const { saved, hash, again, sought } = await page.evaluate(() => {
    const saved = brokerlab.export();
    const hash = brokerlab.traceHash();
    const { time } = brokerlab.view();
    brokerlab.seek(20_000);
    brokerlab.seek(time);
    const sought = brokerlab.traceHash();
    brokerlab.load(saved);
    return { saved, hash, again: brokerlab.traceHash(), sought };
  });
  assert.deepEqual(saved.commands.slice(-2).map((timed) => timed.command), [{ type: "crashBroker", broker: 2 }, { type: "restartBroker", broker: 2 }]);
  assert.equal(sought, hash, "gone to the past and back");
  assert.equal(again, hash, "loaded again");
  assert.equal(native(saved), `trace ${hash}`);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});
