// Packs numbers smaller than LZMA does, for it asks more of what stands around them (`past.js`) than of the bytes before: a byte is decided bit by
// bit, and a model says of each what chance it has to be one. It knows the chance in each of five contexts, and weighs the five by how well each has
// spoken so far at this place: "context mixing" in the literature (M. Mahoney, "Adaptive Weighing of Context Models for Lossless Data Compression",
// 2005).
//
// The packer (`scripts/packed.mjs`) asks the same model with a `bit` of its own. Both must reach the same chances, in each browser: all is done in whole
// numbers of 32 bits, but for one table made with sums and products, which the language fixes to the last bit, as it does not what Math.exp gives.
const damaged = () => new Error("The program's file is damaged.");

export const BYTES = 256;

/**
 * Bytes that come often are decided in few bits, as in a Huffman code, of which `lengths` has the length of each byte's code or 0. By node and bit this
 * gives the next node or, below 0, the byte that is decided. Nodes are numbered from 1 by depth, and on each level the bytes come first.
 */
function treeOf(lengths) {
  const below = new Int16Array(2 * BYTES);
  let nodes = 1;
  for (let length = 1, places = [2, 3]; 0 < places.length; length++) {
    const bytes = [...lengths.keys()].filter((byte) => lengths[byte] === length);
    const next = [];
    for (const place of places) {
      if (0 < bytes.length) below[place] = ~bytes.shift();
      else below[place] = ++nodes;
      if (BYTES <= nodes) throw damaged();
      if (0 < below[place]) next.push(2 * nodes, 2 * nodes + 1);
    }
    places = next;
  }
  return below;
}

/** Chances are out of ONE, those that are kept for a context out of 1 << KEPT_BITS. */
const ONE = 1 << 16;
const KEPT_BITS = 12;
/** Odds are the logarithm of a chance against its contrary, in steps of 1/256, and lie between -EVEN and EVEN. The least chance is LEAST. */
const EVEN = 2048;
const LEAST = 16;

/** By odds + EVEN: the chance. */
const CHANCES = Int32Array.from({ length: 2 * EVEN }, (_, at) => {
  // The exponential function, as the 1024th power of a number near one.
  let power = 1 + (at - EVEN) / (256 * 1024);
  for (let squared = 0; squared < 10; squared++) power *= power;
  return Math.min(Math.max(Math.round(ONE * (power / (1 + power))), LEAST), ONE - LEAST);
});
/** By a kept chance: the odds. */
const ODDS = new Int16Array(1 << KEPT_BITS);
for (let kept = 0, at = 0; kept < ODDS.length; kept++) {
  while (at < CHANCES.length - 1 && CHANCES[at] < (kept + 0.5) * (ONE / ODDS.length)) at++;
  ODDS[kept] = at - EVEN;
}

/**
 * What is kept for a context is its chance, and in the low bits how often it has been there, for the first times teach most: each moves the chance by
 * this share of the way, out of ONE.
 */
const TIMES_BITS = 4;
const SHARES = Int32Array.from({ length: 7 }, (_, times) => Math.round(ONE / (times + 1.6)));
const UNKNOWN = 1 << (KEPT_BITS + TIMES_BITS - 1);
const learnt = (state, one) => {
  const times = state & ((1 << TIMES_BITS) - 1);
  const kept = state >> TIMES_BITS;
  const moved = kept + (Math.imul((-one & (ODDS.length - 1)) - kept, SHARES[times]) >> 16);
  return (moved << TIMES_BITS) | (times < SHARES.length - 1 ? times + 1 : times);
};

/** Contexts are numbers that are told apart by this many of their bits: two that share a place learn each other's, and a build is larger for it. */
const PLACE_BITS = 20;
const PLACES = 1 << PLACE_BITS;
/** Spreads the nodes of a tree. The first lie side by side, where the processor has them at hand. */
const SPREAD = Int32Array.from({ length: BYTES }, (_, node) => (node < 16 ? node : Math.imul(node, 0x9e3779b1) >>> 8));
/** Weights are in steps of 1 / ONE. */
const FIRST_WEIGHT = 0.25 * ONE;
const LEARNING = 10;
/**
 * What comes of the five is held against what came of it before at its node: the chance that it had is kept at so many odds, STEP apart, and the mean
 * of the two holds.
 */
const STEP = 128;
const KNOTS = (2 * EVEN) / STEP + 1;
const FIRST_KNOTS = Uint16Array.from({ length: KNOTS }, (_, knot) => CHANCES[Math.min(knot * STEP, 2 * EVEN - 1)] >> 1);

/**
 * A function that gives the next byte, decided in the tree of a number by five contexts. `bit(chance)` gives the next bit, which is 1 with this chance
 * out of ONE, never 0 nor ONE; `lengths` are the trees'. What is the same for each context is written out, for a loop would take twice the time.
 */
export function model(bit, lengths) {
  const trees = lengths.map(treeOf);
  const states = new Uint16Array(5 * PLACES).fill(UNKNOWN);
  const weights = new Int32Array(5 * BYTES * trees.length).fill(FIRST_WEIGHT);
  const knots = Uint16Array.from({ length: KNOTS * BYTES * trees.length }, (_, at) => FIRST_KNOTS[at % KNOTS]);
  return (which, contexts) => {
    const tree = trees[which];
    const context0 = contexts[0];
    const context1 = contexts[1];
    const context2 = contexts[2];
    const context3 = contexts[3];
    const context4 = contexts[4];
    let node = 1;
    do {
      const spread = SPREAD[node];
      const place0 = (context0 ^ spread) & (PLACES - 1);
      const place1 = PLACES | ((context1 ^ spread) & (PLACES - 1));
      const place2 = (2 * PLACES) | ((context2 ^ spread) & (PLACES - 1));
      const place3 = (3 * PLACES) | ((context3 ^ spread) & (PLACES - 1));
      const place4 = (4 * PLACES) | ((context4 ^ spread) & (PLACES - 1));
      const state0 = states[place0];
      const state1 = states[place1];
      const state2 = states[place2];
      const state3 = states[place3];
      const state4 = states[place4];
      const odds0 = ODDS[state0 >> TIMES_BITS];
      const odds1 = ODDS[state1 >> TIMES_BITS];
      const odds2 = ODDS[state2 >> TIMES_BITS];
      const odds3 = ODDS[state3 >> TIMES_BITS];
      const odds4 = ODDS[state4 >> TIMES_BITS];
      const weight = 5 * (BYTES * which + node);
      const sum =
        (Math.imul(odds0, weights[weight]) >> 8) +
        (Math.imul(odds1, weights[weight + 1]) >> 8) +
        (Math.imul(odds2, weights[weight + 2]) >> 8) +
        (Math.imul(odds3, weights[weight + 3]) >> 8) +
        (Math.imul(odds4, weights[weight + 4]) >> 8);
      const odds = Math.min(Math.max((sum >> 8) + EVEN, 0), 2 * EVEN - 1);
      const mixed = CHANCES[odds];
      const knot = KNOTS * (BYTES * which + node) + ((odds / STEP) | 0);
      const beyond = odds % STEP;
      const found = ((STEP - beyond) * knots[knot] + beyond * knots[knot + 1]) >> 6;
      const chance = Math.min(Math.max((mixed + found) >> 1, LEAST), ONE - LEAST);
      const one = bit(chance);
      const error = Math.imul(one * ONE - mixed, LEARNING) >> 6;
      weights[weight] += (Math.imul(odds0, error) + 2048) >> 12;
      weights[weight + 1] += (Math.imul(odds1, error) + 2048) >> 12;
      weights[weight + 2] += (Math.imul(odds2, error) + 2048) >> 12;
      weights[weight + 3] += (Math.imul(odds3, error) + 2048) >> 12;
      weights[weight + 4] += (Math.imul(odds4, error) + 2048) >> 12;
      const nearest = knot + (2 * beyond < STEP ? 0 : 1);
      knots[nearest] += (one * (ONE / 2 - 1) - knots[nearest]) >> 6;
      states[place0] = learnt(state0, one);
      states[place1] = learnt(state1, one);
      states[place2] = learnt(state2, one);
      states[place3] = learnt(state3, one);
      states[place4] = learnt(state4, one);
      node = tree[2 * node + one];
    } while (0 < node);
    return ~node;
  };
}

/** The `bit` that reads a packed file. Throws if it is cut off. A range coder as LZMA's, but with chances out of ONE that the model gives. */
export function bitOf(file) {
  let at = 0;
  const read = () => {
    if (file.length <= at) throw damaged();
    return file[at++];
  };
  // A typed array, because these numbers need all of their 32 bits, and Math.imul below, because it is faster than a product that could be a fraction.
  const coder = new Uint32Array([0xffffffff, 0]);
  const [RANGE, CODE] = [0, 1];
  for (let byte = 0; byte < 4; byte++) coder[CODE] = (coder[CODE] << 8) | read();
  return (chance) => {
    const bound = Math.imul(coder[RANGE] >>> 16, chance) >>> 0;
    const one = coder[CODE] < bound;
    if (one) coder[RANGE] = bound;
    else {
      coder[RANGE] -= bound;
      coder[CODE] -= bound;
    }
    while (coder[RANGE] <= 0xffffff) {
      coder[RANGE] <<= 8;
      coder[CODE] = (coder[CODE] << 8) | read();
    }
    return one ? 1 : 0;
  };
}
