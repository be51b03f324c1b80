// Measured on the built page and printed: frame times, work per frame, a virtual hour, bytes to download.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import { ROOT, start } from "./page.mjs";

/** Bytes of wasm, js, css and html, gzipped. */
const DOWNLOAD_MAX = 460_800;
const WATCH_MS = 20_000;

let site;
before(async () => {
  site = await start();
});
after(() => site.close());

const percentile = (values, share) => [...values].sort((a, b) => a - b)[Math.floor(values.length * share)];

test("bytes to download", () => {
  const files = readdirSync(join(ROOT, "dist")).filter((name) => /\.(wasm|js|css|html)$/.test(name));
  const bytes = files.reduce((sum, name) => sum + gzipSync(readFileSync(join(ROOT, "dist", name)), { level: 9 }).length, 0);
  console.log(`figure download: ${bytes} bytes gzipped (at most ${DOWNLOAD_MAX})`);
  assert.ok(bytes <= DOWNLOAD_MAX, `${bytes} bytes`);
});

test("frames of the default scene at 1x", async () => {
  const page = await site.open({
    before: () => {
      // Wraps every frame callback of the page. What follows it in the same frame (rendering by the framework, style, layout, paint) is over
      // when the next task runs.
      const frames = (window.frames_ = { at: [], work: [] });
      const ask = window.requestAnimationFrame.bind(window);
      const next = new MessageChannel();
      let from = 0;
      next.port1.onmessage = () => frames.work.push(performance.now() - from);
      window.requestAnimationFrame = (callback) =>
        ask((now) => {
          from = performance.now();
          callback(now);
          frames.at.push(now);
          next.port2.postMessage(null);
        });
    },
  });
  await page.evaluate(() => brokerlab.play(1));
  await page.waitForTimeout(1000);
  await page.evaluate(() => (window.frames_.at.length = window.frames_.work.length = 0));
  await page.waitForTimeout(WATCH_MS);
  const { at, work } = await page.evaluate(() => window.frames_);
  const gaps = at.slice(1).map((time, index) => time - at[index]);
  console.log(`figure frames: ${at.length}, time p95 ${percentile(gaps, 0.95).toFixed(1)} ms (goal 17), work p95 ${percentile(work, 0.95).toFixed(1)} ms (goal 6)`);
  assert.ok(at.length > 0);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test("a virtual hour", async () => {
  const page = await site.open();
  const seconds = await page.evaluate(() => {
    brokerlab.pause();
    const from = performance.now();
    brokerlab.advance(3600000);
    return (performance.now() - from) / 1000;
  });
  console.log(`figure virtual hour: ${seconds.toFixed(2)} s (goal 8)`);
  assert.ok((await page.evaluate(() => brokerlab.view().time)) >= 3600000);
  await page.context().close();
});
