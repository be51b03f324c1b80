// What unpacks .lzma files reads whatever xz writes, with each of its models, and tells a file that is cut off.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { unpack } from "../../www/lzma.js";

const pack = (bytes, model) => execFileSync("xz", ["--format=lzma", `--lzma1=${model}`, "--stdout"], { input: bytes, maxBuffer: 1 << 26 });

/** Bytes from a fixed seed: repeated pieces, near and far, among noise. */
function bytesOf(size, seed) {
  let state = seed;
  const random = (below) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const bytes = Buffer.alloc(size);
  for (let at = 0; at < size; ) {
    const length = Math.min(1 + random(random(4) === 0 ? 400 : 12), size - at);
    if (at === 0 || random(3) === 0) for (let next = 0; next < length; next++) bytes[at + next] = random(256);
    else for (let next = 0, from = random(at); next < length; next++) bytes[at + next] = bytes[from + next];
    at += length;
  }
  return bytes;
}

const MODELS = ["preset=6", "preset=9e,nice=273,lc=4,lp=0,pb=0", "preset=0,lc=0,lp=4,pb=4", "preset=6,lc=1,lp=2,pb=1", "preset=3,lc=0,lp=0,pb=3"];
for (const model of MODELS) {
  test(`files by ${model}`, () => {
    for (const bytes of [Buffer.alloc(0), Buffer.from("a"), Buffer.alloc(3_000_000, "ab"), ...[1, 17, 4096, 70_000, 900_000].map((size) => bytesOf(size, size))]) {
      assert.ok(bytes.equals(unpack(pack(bytes, model))), `${bytes.length} bytes`);
    }
  });
}

test("a file that is cut off", () => {
  const packed = pack(bytesOf(5000, 7), MODELS[1]);
  for (let length = 0; length < packed.length; length += 7) assert.throws(() => unpack(packed.subarray(0, length)), /damaged/, `${length} bytes`);
});
