// The page's last step (Trunk.toml): makes the program small to download. `node scripts/pack.mjs FOLDER`, where the folder holds one program as
// wasm-bindgen and wasm-opt wrote it, and its JavaScript.
//
// What the two ask of each other gets short names, by wasm-opt in the program and by this in the JavaScript, where wasm-bindgen's are long and end in
// hashes. A name that the JavaScript does not have just once stops the build. Then the program is packed (`packed.mjs`). The browser unpacks it, and so
// does this: what does not become the program again stops the build.
import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { unpackProgram } from "../www/lanes.js";
import { packed } from "./packed.mjs";

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

const program = readFileSync(file);
const bundle = packed(program);
if (!program.equals(unpackProgram(bundle))) throw new Error("The packed file does not become the program again.");
writeFileSync(file, bundle);
