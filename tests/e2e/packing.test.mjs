// The page's program is packed and unpacked to the very bytes: the model's coder with whatever bytes and contexts, the lanes with whatever instructions.
// A damaged file is told, or becomes another program, but never keeps the page waiting.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { codeLengths, modelCoder, modelled, packed } from "../../scripts/packed.mjs";
import { MODELLED, join as joined, sort, unpackProgram } from "../../www/lanes.js";
import { bitOf, model } from "../../www/model.js";
import { ROOT } from "./page.mjs";

/** Numbers below a limit, from a fixed seed. */
function randomOf(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Bytes with contexts that tell something of them: of those at even places all, of the others little. */
function told(bytes, random) {
  return bytes.map((byte, at) => {
    const whole = at % 2 === 0 ? byte : random(3);
    return { which: at % 3 === 0 ? 1 : 0, contexts: [whole, random(2 ** 32) | 0, -whole, at & 0xff], byte };
  });
}

const BYTES = {
  "no byte": () => [],
  "one byte": () => [200],
  "one byte again and again": () => new Array(30_000).fill(7),
  "two bytes": (random) => Array.from({ length: 5000 }, () => (random(9) ? 0 : 255)),
  "all bytes alike": (random) => Array.from({ length: 40_000 }, () => random(256)),
  "bytes of which each comes half as often as the one before": (random) => Array.from({ length: 1 << 17 }, () => 17 - Math.floor(Math.log2(1 + random(1 << 17)))),
};
for (const [name, make] of Object.entries(BYTES)) {
  test(`the model's coder: ${name}`, () => {
    const random = randomOf(name.length);
    const numbers = told(make(random), random);
    const lengths = [0, 1].map((tree) => codeLengths(numbers.filter(({ which }) => which === tree).map(({ byte }) => byte)));
    const { put, finish } = modelCoder(lengths);
    for (const { which, contexts, byte } of numbers) assert.equal(put(which, contexts, byte), byte);
    const file = finish();
    const next = model(bitOf(file), lengths);
    for (const { which, contexts, byte } of numbers) assert.equal(next(which, contexts), byte);
    // The last byte is needed: nothing that is cut off goes unseen.
    const cut = () => {
      const next = model(bitOf(file.subarray(0, file.length - 1)), lengths);
      for (const { which, contexts } of numbers) next(which, contexts);
    };
    assert.throws(cut, /damaged/);
  });
}

test("what the contexts tell takes little room, what they do not is not worse than its code", () => {
  const random = randomOf(5);
  const bytes = Array.from({ length: 20_000 }, () => random(256));
  const size = (tell) => {
    const { put, finish } = modelCoder([codeLengths(bytes)]);
    for (const byte of bytes) put(0, [Math.imul(tell(byte) + 1, 0x9e3779b1) >>> 8, 1 << 10, 2 << 10, 3 << 10], byte);
    return finish().length;
  };
  const sizes = [size((byte) => byte), size(() => 0)];
  assert.ok(sizes[0] < bytes.length / 10 && sizes[1] < bytes.length * 1.02, `${sizes} of ${bytes.length} bytes`);
});

test("trees that are none", () => {
  const lengths = (...codes) => Uint8Array.from({ length: 256 }, (_, byte) => codes[byte] ?? 0);
  for (const broken of [lengths(), lengths(1), lengths(1, 2), lengths(1, 3, 3), new Uint8Array(0), new Uint8Array(256).fill(9)]) {
    assert.throws(() => model(() => 0, [broken]), /damaged/);
  }
  // More codes than there is room for: those left over have none.
  assert.equal(model(() => 1, [lengths(1, 1, 1)])(0, [0, 0, 0, 0]), 1);
});

/** A module of one function for each body. */
function moduleOf(...bodies) {
  const number = (value) => (value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...number(value >>> 7)]);
  const code = [...number(bodies.length), ...bodies.flatMap((body) => [...number(body.length), ...body])];
  return Uint8Array.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 3, 2, 1, 0, 10, ...number(code.length), ...code, 0, 3, 1, 0x61, 9]);
}

/** The program after packing and unpacking, but for the .lzma files. */
function again(program) {
  const lanes = sort(program);
  const { lengths, file } = modelled(lanes, program.length);
  for (const lane of MODELLED) lanes[lane] = undefined;
  return joined(lanes, program.length, model(bitOf(file), lengths));
}

const INSTRUCTIONS = {
  "constants of each size": [0x41, 1, 0x41, 0x80, 1, 0x41, 0x80, 0x80, 1, 0x41, 0x80, 0x80, 0x80, 1, 0x41, 0x80, 0x80, 0x80, 0x80, 0x78],
  "long and broken constants": [0x42, 0x80, 0x80, 0x7f, 0x43, 0x41, 0x41, 0x41, 0x41, 0x44, 0x0b, 0x41, 0, 0xf1, 0xff, 0x80, 0x80, 0x80],
  "labels of a table": [0x02, 0x40, 0x0e, 2, 0, 0x80, 1, 0x41, 0x0c, 0x41, 0x0b],
  "loads and stores": [0x28, 0x41, 0x80, 0x41, 0x3e, 0, 0x41],
  "calls, a select of a type, bulk memory": [0x10, 0x80, 0x41, 0x11, 0x41, 0, 0x1c, 1, 0x7f, 0xfc, 10, 0, 0, 0xfc, 0x80, 0, 0x0b],
  "variables, long ones too, and ones written longer than need be": [0x20, 0x80, 1, 0x21, 0x80, 0x80, 0, 0x22, 0, 0x20, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x20, 0x7f],
  "offsets by addresses": [0x20, 1, 0x28, 2, 8, 0x20, 1, 0x20, 2, 0x36, 2, 0x84, 1, 0x20, 1, 0x28, 2, 0xff, 0xff, 3, 0x1a, 0x1a, 0x1a, 0x1a, 0x2d, 0, 0],
};
for (const [name, instructions] of Object.entries(INSTRUCTIONS)) {
  test(`a program of ${name}`, () => {
    const program = moduleOf([1, 2, 0x7f, ...instructions, 0x0b], [0, 0x0b], [0, ...instructions, ...instructions, 0x0b]);
    assert.deepEqual(again(program), program);
  });
}

test("a program's file", () => {
  const program = moduleOf(...Object.values(INSTRUCTIONS).map((instructions) => [0, ...instructions, 0x0b]));
  assert.deepEqual(unpackProgram(packed(program)), program);
});

/** Instructions that make no sense, whose operands are numbers of up to five bytes. */
function randomBody(random) {
  const body = [0];
  const number = () => {
    for (let bytes = random(4) ? 0 : random(4); 0 < bytes; bytes--) body.push(0x80 | random(128));
    body.push(random(random(2) ? 128 : 6));
  };
  for (let instructions = random(400); 0 < instructions; instructions--) {
    const [from, to, operands] = [
      [0x20, 0x22, 1],
      [0x28, 0x3e, 2],
      [0x41, 0x42, 1],
      [0x45, 0xbf, 0],
      [0x0c, 0x10, 1],
      [0x1a, 0x1b, 0],
    ][random(6)];
    const code = from + random(to - from + 1);
    if (code === 0x0e || code === 0x0f) continue;
    body.push(code);
    for (let operand = 0; operand < operands; operand++) number();
  }
  return [...body, 0x0b];
}

test("programs of random instructions", () => {
  for (let seed = 1; seed <= 25; seed++) {
    const random = randomOf(seed);
    const program = moduleOf(...Array.from({ length: 1 + random(8) }, () => randomBody(random)));
    assert.deepEqual(again(program), program, `seed ${seed}`);
  }
});

test("an opcode that stands for a sized constant is not kept, so that the build stops", () => {
  const program = moduleOf([0, 0xf1, 1, 0x0b]);
  const kept = () => assert.deepEqual(again(program), program);
  assert.throws(kept);
});

test("lanes that do not make a program of the size that is told", () => {
  const program = moduleOf([0, 0x20, 1, 0x0b]);
  const lanes = sort(program);
  for (const size of [0, program.length - 1, program.length + 1]) assert.throws(() => joined(lanes, size, () => 1), /damaged/);
});

test("the program itself: whole, cut off and damaged", () => {
  const [name] = readdirSync(join(ROOT, "dist")).filter((name) => name.endsWith("_bg.wasm"));
  const file = readFileSync(join(ROOT, "dist", name));
  const program = unpackProgram(file);
  assert.ok(WebAssembly.validate(program));
  for (const length of [0, 3, 4, 7, 8, 1000, file.length - 1]) assert.throws(() => unpackProgram(file.subarray(0, length)), /damaged/, `${length} bytes`);
  const random = randomOf(3);
  for (let damage = 0; damage < 12; damage++) {
    const damaged = Buffer.from(file);
    // Half of the places lie in what the model packed, which comes last; none in the program's size.
    const at = damage % 2 ? 4 + random(file.length - 4) : file.length - 1 - random(100_000);
    damaged[at] ^= 1 + random(255);
    try {
      assert.notDeepEqual(unpackProgram(damaged), program, `byte ${at}`);
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;
      assert.match(error.message, /damaged/, `byte ${at}`);
    }
  }
});
