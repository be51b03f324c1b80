// The page's last step (Trunk.toml): makes the program small to download. `node scripts/pack.mjs FOLDER`, where the folder holds one program as
// wasm-bindgen and wasm-opt wrote it, and its JavaScript.
//
// What the two ask of each other gets short names, by wasm-opt in the program and by this in the JavaScript, where wasm-bindgen's are long and end in
// hashes. A name that the JavaScript does not have just once stops the build. Then the program is sorted into lanes (`www/lanes.js`), and xz compresses
// each into an .lzma file. The browser puts them together again, and so does this: what does not become the program stops the build.
import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bundle, sort, unpackProgram } from "../www/lanes.js";

/** How much a byte says about the next one (lc), and whether it tells that it lies at an even place (pb), differs from lane to lane: the best is taken. */
const MODELS = [0, 1, 2, 3, 4].flatMap((lc) => [0, 1].map((pb) => `preset=9e,nice=273,lc=${lc},lp=0,pb=${pb}`));
const SIZE_MAX = 1 << 25;
/** What wasm-opt calls the module of the JavaScript. */
const SHORT_MODULE = "a";

/** The one file in the folder with a name like this. */
function only(folder, pattern) {
  const found = readdirSync(folder).filter((name) => pattern.test(name));
  if (found.length !== 1) throw new Error(`There are ${found.length} files like ${pattern} in ${folder}.`);
  return join(folder, found[0]);
}

/** The JavaScript with the names that wasm-opt gave, which it lists as JSON. */
function renamed(script, { imports, exports }) {
  const rename = (pattern, short) => {
    const parts = script.split(pattern);
    if (parts.length !== 2) throw new Error(`The JavaScript has ${pattern} ${parts.length - 1} times.`);
    script = parts.join(short);
  };
  const [[module]] = imports;
  rename(`"${module}": `, `"${SHORT_MODULE}": `);
  for (const [from, long, short] of imports) {
    if (from !== module) throw new Error(`The program asks ${from} for ${long}, not ${module}.`);
    rename(new RegExp(`(?<=^\\s*)${long}(?=: )`, "m"), short);
  }
  const shortOf = new Map(exports);
  return script.replace(/(?<=\bwasm\.)\w+/g, (long) => {
    if (!shortOf.has(long)) throw new Error(`The JavaScript asks for ${long}, which the program does not export.`);
    return shortOf.get(long);
  });
}

const folder = process.argv[2];
const [file, scriptFile] = [only(folder, /^web-\w+_bg\.wasm$/), only(folder, /^web-\w+\.js$/)];
const names = execFileSync("wasm-opt", [file, "--minify-imports-and-exports-and-modules", "--output", file], { maxBuffer: SIZE_MAX });
writeFileSync(scriptFile, renamed(readFileSync(scriptFile, "utf8"), JSON.parse(names)));

/** The smallest .lzma file of these bytes. */
function compressed(bytes) {
  const files = MODELS.map((model) => execFileSync("xz", ["--format=lzma", `--lzma1=${model}`, "--stdout"], { input: bytes, maxBuffer: SIZE_MAX }));
  return files.reduce((best, file) => (file.length < best.length ? file : best));
}

const program = readFileSync(file);
const packed = bundle(sort(program).map(compressed));
if (!program.equals(unpackProgram(packed))) throw new Error("The lanes do not become the program again.");
writeFileSync(file, packed);
