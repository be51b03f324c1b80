// The page's last step (Trunk.toml): makes the program small to download. `node scripts/pack.mjs FOLDER`, where the folder holds one program as
// wasm-bindgen and wasm-opt wrote it.
//
// It is compressed by xz into an .lzma file, which `www/lzma.js` unpacks in the browser, and here, too: a file that does not become the program
// again stops the build.
import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { unpack } from "../www/lzma.js";

/** Instructions lie at no multiple of anything, and a byte says most about the next one. */
const MODEL = "preset=9e,nice=273,lc=4,lp=0,pb=0";
const SIZE_MAX = 1 << 25;

/** The one file in the folder with a name like this. */
function only(folder, pattern) {
  const found = readdirSync(folder).filter((name) => pattern.test(name));
  if (found.length !== 1) throw new Error(`There are ${found.length} files like ${pattern} in ${folder}.`);
  return join(folder, found[0]);
}

const file = only(process.argv[2], /^web-\w+_bg\.wasm$/);
const program = readFileSync(file);
const packed = execFileSync("xz", ["--format=lzma", `--lzma1=${MODEL}`, "--stdout", file], { maxBuffer: SIZE_MAX });
if (!program.equals(unpack(packed))) throw new Error("What xz wrote is not what lzma.js reads.");
writeFileSync(file, packed);
