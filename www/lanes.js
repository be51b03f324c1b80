// The page's program sorted into lanes, which xz packs a tenth smaller than the program as it stands: its instructions follow each other much as
// instructions do, its offsets as offsets do, and neither says much of the other. A lane holds what is of one kind, in the order of the program.
//
// `sort` and `join` are one walk through the program (WebAssembly Core Specification, "Binary Format"), for both know at every byte which lane the
// next one is of: the one moves bytes from the program to the lanes, the other from the lanes to the program. What the walk takes for an operand
// only has to be the same both ways; a build tries that (`scripts/pack.mjs`).
//
// Most lanes are .lzma files. The variables, the offsets and the short constants, almost half of it all, are packed by a model that knows the
// instructions around them (`model.js`, `past.js`): they are a fifth smaller for it. The opcodes would be little smaller and take twice the time, and the
// long constants are addresses, each near the last one, which xz sees better.
import { unpack } from "./lzma.js";
import { BYTES, bitOf, model } from "./model.js";
import { past } from "./past.js";

const damaged = () => new Error("The program's file is damaged.");

const CODE_SECTION = 10;
/** The magic number and the version. */
const HEADER_BYTES = 8;
const CONTINUES = 0x80;
const I32_CONST = 0x41;
/**
 * Constants of one length are more alike than constants are. Which lane a constant is of must be known before it is read: these opcodes, which no
 * program has, stand for I32_CONST with an operand of 1 to 5 bytes.
 */
const SIZED_I32_CONST = 0xf0;
const SIZES = [1, 2, 3, 4, 5];
const isSized = (code) => SIZED_I32_CONST < code && code <= SIZED_I32_CONST + SIZES.length;

/** The lanes go by number; the constants', one for each size, follow these. */
const [REST, BODY_SIZES, LOCALS, OPCODES, TYPES, LABELS, CALLS, VARIABLES, ASSIGNED, ALIGNMENTS, OFFSETS, LONGS, RARE, MORE_LOCALS, MORE_OFFSETS, MORE_RARE, CONSTANTS] =
  Array(17).keys();
const LANES = CONSTANTS + SIZES.length;
/** Of these numbers the first byte is as unlike the further ones as if they were of another kind. */
const FURTHER = new Map([
  [LOCALS, MORE_LOCALS],
  [OFFSETS, MORE_OFFSETS],
  [RARE, MORE_RARE],
]);

/** The lanes that the model packs, each with a tree of its own. */
export const MODELLED = [VARIABLES, ASSIGNED, OFFSETS, MORE_OFFSETS, CONSTANTS, CONSTANTS + 1];
/** By lane: its place there, or -1. */
const WHICH = Array.from({ length: LANES }, (_, lane) => MODELLED.indexOf(lane));

/** By opcode: the lane of its operands, and how many there are. All are numbers that end in a byte below CONTINUES. */
const OPERANDS = new Map();
const operands = (from, to, lane, count) => {
  for (let opcode = from; opcode <= to; opcode++) OPERANDS.set(opcode, [lane, count]);
};
operands(0x02, 0x04, TYPES, 1); // block, loop, if
operands(0x0c, 0x0d, LABELS, 1); // br, br_if
operands(0x10, 0x10, CALLS, 1);
operands(0x11, 0x11, RARE, 2); // call_indirect
operands(0x20, 0x20, VARIABLES, 1); // local.get
operands(0x21, 0x22, ASSIGNED, 1); // local.set, .tee
operands(0x23, 0x26, RARE, 1); // of globals and tables
operands(0x3f, 0x40, RARE, 1); // memory.size, .grow
operands(0x42, 0x42, LONGS, 1);
operands(0xd0, 0xd0, RARE, 1); // ref.null
operands(0xd2, 0xd2, RARE, 1); // ref.func
/** Of memories, tables and their segments, by the number behind the prefix 0xfc. */
const BULK_OPERANDS = { 8: 2, 9: 1, 10: 2, 11: 1, 12: 2, 13: 1, 14: 2, 15: 1, 16: 1, 17: 1 };

/**
 * Goes through a program. `copy(lane)` moves one byte of a lane and gives it; `opcode()` moves the next opcode and gives it, sized if it is
 * I32_CONST; `more()` says whether anything is left; `begin()` hears of each function's body.
 */
function walk({ copy, opcode, more, begin = () => {} }) {
  let moved = 0;
  const bytes = (lane, count) => {
    for (let left = count; 0 < left; left--) copy(lane);
    moved += count;
  };
  const number = (lane) => {
    for (let value = 0, shift = 1, next = lane; ; shift *= CONTINUES, next = FURTHER.get(lane) ?? lane) {
      const byte = copy(next);
      moved++;
      value += (byte % CONTINUES) * shift;
      if (byte < CONTINUES) return value;
    }
  };
  const numbers = (lane, count) => {
    for (let left = count; 0 < left; left--) number(lane);
  };
  const instruction = () => {
    const code = opcode();
    moved++;
    if (isSized(code)) bytes(CONSTANTS + code - SIZED_I32_CONST - 1, code - SIZED_I32_CONST);
    else if (OPERANDS.has(code)) numbers(...OPERANDS.get(code));
    // Loads and stores.
    else if (0x28 <= code && code <= 0x3e) number(ALIGNMENTS), number(OFFSETS);
    // br_table: the last label is for all other values.
    else if (code === 0x0e) numbers(LABELS, number(LABELS) + 1);
    // select of a type
    else if (code === 0x1c) numbers(RARE, number(RARE));
    // f32.const, f64.const
    else if (code === 0x43) bytes(RARE, 4);
    else if (code === 0x44) bytes(RARE, 8);
    else if (code === 0xfc) numbers(RARE, BULK_OPERANDS[number(RARE)] ?? 0);
  };
  const body = () => {
    const size = number(BODY_SIZES);
    const end = moved + size;
    begin();
    for (let kinds = number(LOCALS); 0 < kinds; kinds--) number(LOCALS), bytes(LOCALS, 1);
    while (moved < end) instruction();
  };
  bytes(REST, HEADER_BYTES);
  while (more()) {
    const section = copy(REST);
    const size = number(REST);
    if (section !== CODE_SECTION) bytes(REST, size);
    else for (let bodies = number(REST); 0 < bodies; bodies--) body();
  }
}

/** A program's lanes. */
export function sort(program) {
  const lanes = Array.from({ length: LANES }, () => []);
  let at = 0;
  const copy = (lane) => {
    lanes[lane].push(program[at]);
    return program[at++];
  };
  const opcode = () => {
    if (program[at] !== I32_CONST) return copy(OPCODES);
    const start = ++at;
    let size = 1;
    while (CONTINUES <= program[start + size - 1]) size++;
    lanes[OPCODES].push(SIZED_I32_CONST + size);
    return SIZED_I32_CONST + size;
  };
  walk({ copy, opcode, more: () => at < program.length });
  return lanes.map((lane) => Uint8Array.from(lane));
}

/**
 * The program of this size. Its lanes in MODELLED may be left out: `modelled(which, contexts)` gives the next byte of the one that stands there. Throws
 * if a lane ends too early or the program is longer.
 */
export function join(lanes, size, modelled) {
  const places = lanes.map(() => 0);
  const program = new Uint8Array(size);
  let at = 0;
  const before = past(lanes[OPCODES]);
  /** By the places in MODELLED. */
  const kinds = [before.variable, before.variable, before.offset, before.offset, before.constant, before.constant];
  /** What is known of a number whose further bytes follow, and what the next one is worth. */
  let known = 0;
  let worth = 1;
  const modelledByte = (which) => {
    const byte = modelled(which, kinds[which].contexts(which, known + worth));
    known += (byte % CONTINUES) * worth;
    worth *= CONTINUES;
    if (byte < CONTINUES) {
      kinds[which].passed(which, known);
      known = 0;
      worth = 1;
    }
    return byte;
  };
  const copy = (lane) => {
    if (size <= at) throw damaged();
    const which = WHICH[lane];
    if (0 <= which) return (program[at++] = modelledByte(which));
    if (lanes[lane].length <= places[lane]) throw damaged();
    return (program[at++] = lanes[lane][places[lane]++]);
  };
  const opcode = () => {
    const code = copy(OPCODES);
    before.opcode();
    if (isSized(code)) program[at - 1] = I32_CONST;
    return code;
  };
  walk({ copy, opcode, begin: before.body, more: () => places[REST] < lanes[REST].length });
  if (at < size) throw damaged();
  return program;
}

/** Numbers in a bundle have this many bytes, the lowest first. */
const NUMBER_BYTES = 4;

/** One file of a program's size and some parts. */
export function bundle(size, parts) {
  const number = (value) => new Uint8Array(new Uint32Array([value]).buffer);
  const pieces = [number(size), ...parts.flatMap((part) => [number(part.length), part])];
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) whole.set(piece, at), (at += piece.length);
  return whole;
}

/**
 * The program of a bundle, whose parts are the .lzma files of the lanes without those in MODELLED, one more of the trees (`model.js`), and what the
 * model packed. Throws if it is cut off or damaged.
 */
export function unpackProgram(file) {
  const numbers = new DataView(file.buffer, file.byteOffset, file.length);
  let at = 0;
  const number = () => {
    at += NUMBER_BYTES;
    if (file.length < at) throw damaged();
    return numbers.getUint32(at - NUMBER_BYTES, true);
  };
  const part = () => {
    const length = number();
    return file.subarray(at, (at += length));
  };
  const size = number();
  const lanes = WHICH.map((which) => (which < 0 ? unpack(part()) : undefined));
  const trees = unpack(part());
  const lengths = MODELLED.map((_, which) => trees.subarray(BYTES * which, BYTES * (which + 1)));
  return join(lanes, size, model(bitOf(part()), lengths));
}
