// Unpacks .lzma files, in which the lanes of the page's program lie (`lanes.js`): a sixth smaller than the best gzip, and no browser unpacks them by
// itself. Small and plain where a library would be several times as much, for it reads the files of our own build alone, which tries each of them
// (`scripts/pack.mjs`).
// The format is the LZMA SDK's (lzma-specification.txt), whose names for the parts of the model stand in the comments.

/** States from here on came after a match. */
const MATCHES_FROM = 7;
/** Distances in slots from here on end in bits that are not modelled, but for the last four. */
const FIRST_PLAIN_SLOT = 14;
const SHORTEST_MATCH = 2;

/** The bytes that a file stands for. Throws if it is cut off or damaged. */
export function unpack(file) {
  const damaged = () => new Error("The program's file is damaged.");
  // Every probability is a number out of 2048, and they lie in one array; `room` gives parts of it away.
  let rooms = 0;
  const room = (size) => (rooms += size) - size;
  const literalContext = file[0] % 9; // lc
  const literalPosition = Math.floor(file[0] / 9) % 5; // lp
  const positionMask = (1 << Math.floor(file[0] / 45)) - 1; // pb
  const isMatch = room(12 * 16);
  const isRepeat = room(12); // IsRep
  const isOlder = room(12); // IsRepG0
  const isSecondOlder = room(12); // IsRepG1
  const isThirdOlder = room(12); // IsRepG2
  const isLong = room(12 * 16); // IsRep0Long
  const slots = room(4 * 64); // PosSlotDecoder
  const distances = room(128); // PosDecoders
  const alignment = room(16); // AlignDecoder
  const matchLengths = room(2 + 16 * 8 * 2 + 256); // LenDecoder
  const repeatLengths = room(2 + 16 * 8 * 2 + 256); // RepLenDecoder
  const literals = room(0x300 << (literalContext + literalPosition));
  const chances = new Uint16Array(rooms).fill(1024);

  // Behind the properties and two sizes; the first byte is nothing.
  let at = 14;
  const read = () => {
    if (file.length <= at) throw damaged();
    return file[at++];
  };
  // A typed array, because these numbers need all of their 32 bits, and Math.imul below, because it is faster than a product that could be a fraction.
  const coder = new Uint32Array([0xffffffff, 0]);
  const [RANGE, CODE] = [0, 1];
  for (let byte = 0; byte < 4; byte++) coder[CODE] = (coder[CODE] << 8) | read();
  const renew = () => {
    if (0xffffff < coder[RANGE]) return;
    coder[RANGE] <<= 8;
    coder[CODE] = (coder[CODE] << 8) | read();
  };
  const bit = (which) => {
    const chance = chances[which];
    const bound = Math.imul(coder[RANGE] >>> 11, chance) >>> 0;
    const one = bound <= coder[CODE];
    if (one) {
      coder[RANGE] -= bound;
      coder[CODE] -= bound;
      chances[which] -= chance >> 5;
    } else {
      coder[RANGE] = bound;
      chances[which] += (2048 - chance) >> 5;
    }
    renew();
    return one ? 1 : 0;
  };
  /** A number of so many bits, the highest first, each with the chance that those before it give it. */
  const tree = (from, bits) => {
    let node = 1;
    for (let count = 0; count < bits; count++) node = (node << 1) | bit(from + node);
    return node - (1 << bits);
  };
  /** The same, the lowest bit first. */
  const reverseTree = (from, bits) => {
    let number = 0;
    for (let node = 1, count = 0; count < bits; count++) {
      const next = bit(from + node);
      node = (node << 1) | next;
      number |= next << count;
    }
    return number;
  };
  const plain = (bits) => {
    let number = 0;
    for (let count = 0; count < bits; count++) {
      coder[RANGE] >>>= 1;
      const one = coder[RANGE] <= coder[CODE];
      if (one) coder[CODE] -= coder[RANGE];
      number = number * 2 + (one ? 1 : 0);
      renew();
    }
    return number;
  };
  const length = (from, position) => {
    if (!bit(from)) return tree(from + 2 + position * 8, 3);
    if (!bit(from + 1)) return 8 + tree(from + 2 + 128 + position * 8, 3);
    return 16 + tree(from + 2 + 256, 8);
  };
  const distance = (length) => {
    const slot = tree(slots + Math.min(length, 3) * 64, 6);
    if (slot < 4) return slot;
    const bits = (slot >> 1) - 1;
    const base = (2 | (slot & 1)) * 2 ** bits;
    if (slot < FIRST_PLAIN_SLOT) return base + reverseTree(distances + base - slot, bits);
    return base + plain(bits - 4) * 16 + reverseTree(alignment, 4);
  };

  let bytes = new Uint8Array(1 << 16);
  let size = 0;
  const write = (byte) => {
    if (size === bytes.length) {
      const larger = new Uint8Array(2 * size);
      larger.set(bytes);
      bytes = larger;
    }
    bytes[size++] = byte;
  };
  const literal = (matched) => {
    const before = size === 0 ? 0 : bytes[size - 1];
    const context = ((size & ((1 << literalPosition) - 1)) << literalContext) + (before >> (8 - literalContext));
    const from = literals + 0x300 * context;
    let node = 1;
    // After a match, the byte that would have followed it says what this one is not.
    for (let expected = matched; expected !== undefined && node < 0x100; ) {
      expected <<= 1;
      const hint = (expected >> 8) & 1;
      const next = bit(from + ((1 + hint) << 8) + node);
      node = (node << 1) | next;
      if (hint !== next) break;
    }
    while (node < 0x100) node = (node << 1) | bit(from + node);
    write(node & 0xff);
  };

  /** The distances of the last four matches, the newest first, each less one. */
  const last = [0, 0, 0, 0];
  const used = (which) => last.unshift(...last.splice(which, 1));
  for (let state = 0; ; ) {
    const position = size & positionMask;
    const afterLiteral = state < MATCHES_FROM;
    if (!bit(isMatch + state * 16 + position)) {
      literal(afterLiteral ? undefined : bytes[size - last[0] - 1]);
      state = state < 4 ? 0 : state < 10 ? state - 3 : state - 6;
      continue;
    }
    let count;
    if (!bit(isRepeat + state)) {
      count = length(matchLengths, position);
      last.pop();
      last.unshift(distance(count));
      state = afterLiteral ? 7 : 10;
      // The end.
      if (last[0] === 0xffffffff) return bytes.subarray(0, size);
    } else {
      let short = false;
      if (!bit(isOlder + state)) short = !bit(isLong + state * 16 + position);
      else used(!bit(isSecondOlder + state) ? 1 : !bit(isThirdOlder + state) ? 2 : 3);
      count = short ? 1 - SHORTEST_MATCH : length(repeatLengths, position);
      state = short ? (afterLiteral ? 9 : 11) : afterLiteral ? 8 : 11;
    }
    if (size <= last[0]) throw damaged();
    for (count += SHORTEST_MATCH; 0 < count; count--) write(bytes[size - last[0] - 1]);
  }
}
