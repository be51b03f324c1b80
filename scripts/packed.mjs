// Packs a program: sorts it into lanes (`www/lanes.js`), has xz compress most of them into .lzma files, and codes the others by the model that the
// browser asks as well (`www/model.js`). All that only packing needs is here.
import { execFileSync } from "node:child_process";
import { MODELLED, bundle, join, sort } from "../www/lanes.js";
import { BYTES, model } from "../www/model.js";

/** How much a byte says about the next one (lc), and whether it tells that it lies at an even place (pb), differs from lane to lane: the best is taken. */
const MODELS = [0, 1, 2, 3, 4].flatMap((lc) => [0, 1].map((pb) => `preset=9e,nice=273,lc=${lc},lp=0,pb=${pb}`));
const SIZE_MAX = 1 << 25;

/** The smallest .lzma file of these bytes. */
function compressed(bytes) {
  const files = MODELS.map((model) => execFileSync("xz", ["--format=lzma", `--lzma1=${model}`, "--stdout"], { input: bytes, maxBuffer: SIZE_MAX }));
  return files.reduce((best, file) => (file.length < best.length ? file : best));
}

/** The lengths of the bytes' codes that make these bytes shortest (Huffman's algorithm). A tree has two bytes at least, whether they come or not. */
export function codeLengths(bytes) {
  const lengths = new Uint8Array(BYTES);
  const times = new Array(BYTES).fill(0);
  for (const byte of bytes) times[byte]++;
  for (let byte = 0; times.filter((count) => 0 < count).length < 2; byte++) times[byte] ||= 1;
  const trees = times.flatMap((count, byte) => (0 < count ? [{ count, bytes: [byte] }] : []));
  while (1 < trees.length) {
    trees.sort((one, other) => other.count - one.count);
    const [one, other] = [trees.pop(), trees.pop()];
    const both = [...one.bytes, ...other.bytes];
    for (const byte of both) lengths[byte]++;
    trees.push({ count: one.count + other.count, bytes: both });
  }
  return lengths;
}

/** By byte, the bits of its code, in the order that the model's trees have (`treeOf`): on each level the bytes come first, the smallest leading. */
function codesOf(lengths) {
  const codes = [];
  let next = 0;
  for (let length = 1; length <= Math.max(...lengths); length++, next *= 2) {
    for (const [byte, its] of lengths.entries()) {
      if (its === length) codes[byte] = [...(next++).toString(2).padStart(length, "0")].map(Number);
    }
  }
  return codes;
}

/** What the range coder makes of bits that each have a chance (`bitOf` reads it). */
function rangeCoder() {
  const file = [];
  let low = 0;
  let range = 0xffffffff;
  const shift = () => {
    // What overflows counts in the bytes that are written already.
    if (2 ** 32 <= low) for (let at = file.length - 1; ++file[at] === 256; at--) file[at] = 0;
    low %= 2 ** 32;
    file.push(Math.floor(low / 2 ** 24));
    low = (low % 2 ** 24) * 256;
    range *= 256;
  };
  const code = (chance, one) => {
    const bound = (range >>> 16) * chance;
    if (one) range = bound;
    else {
      low += bound;
      range -= bound;
    }
    while (range <= 0xffffff) shift();
  };
  const finish = () => {
    for (let byte = 0; byte < 4; byte++) shift();
    return Uint8Array.from(file);
  };
  return { code, finish };
}

/** What the model makes of bytes that come one by one: `model` with a `bitOf` gives them back. */
export function modelCoder(lengths) {
  const codes = lengths.map(codesOf);
  const { code, finish } = rangeCoder();
  let coming;
  const next = model((chance) => {
    const one = coming.shift();
    code(chance, one);
    return one;
  }, lengths);
  const put = (which, contexts, byte) => {
    coming = [...codes[which][byte]];
    return next(which, contexts);
  };
  return { put, finish };
}

/** The trees of the lanes in MODELLED, and their bytes as the model codes them in the order of the program. */
export function modelled(lanes, size) {
  const lengths = MODELLED.map((lane) => codeLengths(lanes[lane]));
  const { put, finish } = modelCoder(lengths);
  const places = MODELLED.map(() => 0);
  join(lanes, size, (which, contexts) => put(which, contexts, lanes[MODELLED[which]][places[which]++]));
  return { lengths, file: finish() };
}

/** The file of which `unpackProgram` makes this program. */
export function packed(program) {
  const lanes = sort(program);
  const { lengths, file } = modelled(lanes, program.length);
  const trees = Uint8Array.from(lengths.flatMap((its) => [...its]));
  const plain = lanes.filter((_, lane) => !MODELLED.includes(lane));
  return bundle(program.length, [...[...plain, trees].map(compressed), file]);
}
