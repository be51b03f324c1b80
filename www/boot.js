// Starts the page. A file of its own, because the content security policy allows no inline script.
import { unpackProgram } from "./lanes.js";

const { js, wasm } = document.querySelector("script[data-wasm]").dataset;

// A broken invariant stops the engine; this says so calmly instead of leaving a dead page. What the message offers is the newest copy of the
// session that the page kept.
const stopped = document.getElementById("stopped");
const stop = (error) => {
  if (error instanceof WebAssembly.RuntimeError) stopped.hidden = false;
};
addEventListener("error", (event) => stop(event.error));
addEventListener("unhandledrejection", (event) => stop(event.reason));
document.getElementById("stopped-export").addEventListener("click", () => {
  const saved = sessionStorage.getItem("brokerlab.rescue");
  if (saved === null) return;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([saved], { type: "application/json" }));
  link.download = "brokerlab-session.json";
  link.click();
});
document.getElementById("stopped-reload").addEventListener("click", () => location.reload());

// The levels are files beside the program, fetched with it. Without them the page has no lessons, and everything else.
async function lessons() {
  const text = async (path) => {
    const answer = await fetch(new URL(path, document.baseURI));
    if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
    return answer.text();
  };
  const names = (await text("lessons/index.txt")).trim().split("\n");
  return Promise.all(names.map((name) => text(`lessons/${name}`)));
}

// The program lies packed in its file (scripts/pack.mjs): a server that compresses nothing sends less than a third of it, and one that does sends no less.
async function program() {
  const answer = await fetch(new URL(wasm, document.baseURI));
  if (!answer.ok) throw new Error(`${wasm}: ${answer.status}`);
  return unpackProgram(new Uint8Array(await answer.arrayBuffer()));
}

try {
  const arriving = program();
  const [page, files] = await Promise.all([
    import(new URL(js, document.baseURI)),
    lessons().catch((error) => (console.error(error), [])),
  ]);
  globalThis.brokerlabLessons = files;
  await page.default({ module_or_path: arriving });
  document.getElementById("loading").remove();
} catch (error) {
  // The engine stopped as it started, or the browser lacks what the page needs.
  console.error(error);
  document.getElementById("loading")?.remove();
  stopped.hidden = false;
}
