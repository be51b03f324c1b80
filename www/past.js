// What tells of a variable, an offset or a constant which one it is: the instructions around it, which are all known when it is read, and the variables and
// offsets before it in its function. Each context here is a hash of some of that; which of it helps was found by trying (the smallest of many builds).
//
// An offset says most where the last one of the same address lies, so this follows the stack of the WebAssembly machine (Core Specification,
// "Instructions") just far enough to know which variable an address comes from. What a call takes and gives it leaves out: the guess is then worse.

const hash = (before, more) => {
  const product = Math.imul(before ^ more, 0x2c1b3c6d);
  return product ^ (product >>> 15);
};

/** By opcode: how many values it takes off the stack and whether a value comes on it that is no variable's. Without what leaves the top as it is. */
const TAKES = new Uint8Array(256);
const GIVES = new Uint8Array(256);
const effect = (from, to, takes, gives) => {
  TAKES.fill(takes, from, to + 1);
  GIVES.fill(gives, from, to + 1);
};
effect(0x04, 0x04, 1, 0); // if
effect(0x0d, 0x0d, 1, 0); // br_if
effect(0x1a, 0x1a, 1, 0); // drop
effect(0x1b, 0x1b, 2, 0); // select
effect(0x21, 0x22, 1, 0); // local.set, .tee
effect(0x23, 0x23, 0, 1); // global.get
effect(0x24, 0x24, 1, 0); // global.set
effect(0x28, 0x35, 1, 1); // loads
effect(0x36, 0x3e, 2, 0); // stores
effect(0x3f, 0x3f, 0, 1); // memory.size
effect(0x42, 0x44, 0, 1); // i64.const, f32.const, f64.const
// Comparisons and arithmetic of two values, in the order of i32, i64, f32, f64.
for (const [from, to] of [[0x46, 0x4f], [0x51, 0x66], [0x6a, 0x78], [0x7c, 0x8a], [0x92, 0x98], [0xa0, 0xa6]]) effect(from, to, 1, 0); // prettier-ignore
effect(0xf1, 0xf5, 0, 1); // i32.const, by its size (`lanes.js`)
const GET = 0x20;
const SET = 0x21;

/**
 * Follows a program whose opcodes are these. For variables, offsets and constants, `contexts(which, known)` are the five of a number's next byte, and
 * `passed(which, value)` hears of a number: `which` tells lanes apart, `known` is what its bytes before say.
 */
export function past(opcodes) {
  let place = -1;
  let bodies = 0;
  /** The variables in use, of which 0 stands for none: the last two of the body, and the last number of each lane. */
  let last = 0;
  let secondLast = 0;
  const lastOf = [];
  const stack = [];
  /** The variable which the address of a load or store comes from, and by it the last offset, if it was not assigned since. */
  let address = 0;
  const offsets = new Map();
  const contexts = new Int32Array(5);
  const around = (first, second, third) => (opcodes[place + first] << 16) | (opcodes[place + second] << 8) | opcodes[place + third];
  const variable = {
    contexts(which, known) {
      const seed = hash(which, known);
      const next = hash(seed, opcodes[place + 1]);
      const nextLast = hash(next, last);
      contexts[0] = hash(hash(hash(seed, around(-1, -2, -3)), opcodes[place + 2]), secondLast);
      contexts[1] = hash(next, bodies);
      contexts[2] = hash(nextLast, lastOf[which]);
      contexts[3] = hash(nextLast, around(0, 0, -1));
      contexts[4] = hash(hash(seed, secondLast), last);
      return contexts;
    },
    passed(which, value) {
      secondLast = last;
      last = lastOf[which] = value + 1;
      if (opcodes[place] !== SET) stack.push(last);
      if (opcodes[place] !== GET) offsets.delete(last);
    },
  };
  const offset = {
    contexts(which, known) {
      const seed = hash(which, known);
      const like = hash(seed, offsets.get(address) ?? -1);
      contexts[0] = hash(like, around(0, -2, -3));
      contexts[1] = hash(hash(seed, address), bodies);
      contexts[2] = like;
      contexts[3] = hash(seed, around(0, 0, -1));
      contexts[4] = hash(like, around(-1, -2, 1));
      return contexts;
    },
    passed(which, value) {
      offsets.set(address, value);
    },
  };
  const constant = {
    contexts(which, known) {
      const seed = hash(which, known);
      const next = hash(seed, opcodes[place + 1]);
      const nextTwo = hash(next, opcodes[place + 2]);
      contexts[0] = hash(nextTwo, around(-1, -2, 3));
      contexts[1] = hash(nextTwo, opcodes[place - 1]);
      contexts[2] = hash(next, lastOf[which]);
      contexts[3] = hash(next, bodies);
      contexts[4] = hash(hash(seed, last), around(-1, 1, 1));
      return contexts;
    },
    passed(which, value) {
      lastOf[which] = value;
    },
  };
  return {
    variable,
    offset,
    constant,
    /** A function's body begins. */
    body() {
      bodies++;
      last = secondLast = 0;
      stack.length = 0;
      offsets.clear();
    },
    /** The next opcode is passed. */
    opcode() {
      const code = opcodes[++place];
      for (let taken = TAKES[code]; 0 < taken; taken--) address = stack.pop() ?? 0;
      if (GIVES[code]) stack.push(0);
    },
  };
}
