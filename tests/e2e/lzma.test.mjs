// What unpacks the page's program reads whatever xz writes, with each of its models, puts the lanes together again, and tells a file that is cut off.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { join as joined, sort, unpackProgram } from "../../www/lanes.js";
import { unpack } from "../../www/lzma.js";
import { ROOT } from "./page.mjs";

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

/** A module of one function, whose body is this. */
function moduleOf(...body) {
  const code = [1, body.length, ...body];
  return Uint8Array.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 3, 2, 1, 0, 10, code.length, ...code, 0, 3, 1, 0x61, 9]);
}

const INSTRUCTIONS = {
  "constants of each size": [0x41, 1, 0x41, 0x80, 1, 0x41, 0x80, 0x80, 1, 0x41, 0x80, 0x80, 0x80, 1, 0x41, 0x80, 0x80, 0x80, 0x80, 0x78],
  "long and broken constants": [0x42, 0x80, 0x80, 0x7f, 0x43, 0x41, 0x41, 0x41, 0x41, 0x44, 0x0b, 0x41, 0, 0xf1, 0xff, 0x80, 0x80, 0x80],
  "labels of a table": [0x02, 0x40, 0x0e, 2, 0, 0x80, 1, 0x41, 0x0c, 0x41, 0x0b],
  "loads and stores": [0x28, 0x41, 0x80, 0x41, 0x3e, 0, 0x41],
  "calls, a select of a type, bulk memory": [0x10, 0x80, 0x41, 0x11, 0x41, 0, 0x1c, 1, 0x7f, 0xfc, 10, 0, 0, 0xfc, 0x80, 0, 0x0b],
};
for (const [name, instructions] of Object.entries(INSTRUCTIONS)) {
  test(`lanes of ${name}`, () => {
    const program = moduleOf(1, 2, 0x7f, ...instructions, 0x0b);
    assert.deepEqual(joined(sort(program)), program);
  });
}

test("an opcode that stands for a sized constant is not kept, so that the build stops", () => {
  const program = moduleOf(0, 0xf1, 1, 0x0b);
  assert.notDeepEqual(joined(sort(program)), program);
});

test("the program itself, whole and cut off", () => {
  const [name] = readdirSync(join(ROOT, "dist")).filter((name) => name.endsWith("_bg.wasm"));
  const packed = readFileSync(join(ROOT, "dist", name));
  assert.ok(WebAssembly.validate(unpackProgram(packed)));
  for (const length of [0, 3, 4, 5, 1000, packed.length - 1]) assert.throws(() => unpackProgram(packed.subarray(0, length)), /damaged/, `${length} bytes`);
});
