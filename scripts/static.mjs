// Serves one folder on the loopback address: `node static.mjs FOLDER PORT`. Used by scripts/serve and by the browser tests.
import { createServer } from "node:http";
import { createReadStream, statSync } from "node:fs";
import { extname, join, normalize, resolve, sep } from "node:path";
import { pathToFileURL } from "node:url";

const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".wasm": "application/wasm",
  ".svg": "image/svg+xml",
  ".ts": "text/plain; charset=utf-8",
};

export function serve(folder, port) {
  const root = resolve(folder);
  const server = createServer((request, response) => {
    let path;
    try {
      path = normalize(decodeURIComponent(new URL(request.url, "http://localhost").pathname));
    } catch {
      response.writeHead(400).end();
      return;
    }
    const file = join(root, path === sep ? "index.html" : path);
    const known = (file === root || file.startsWith(root + sep)) && statSync(file, { throwIfNoEntry: false })?.isFile();
    if (!known) {
      response.writeHead(404).end("not found");
      return;
    }
    // Names carry a hash, except the page's own: it must be asked for again after a build.
    response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream", "cache-control": "no-cache" });
    createReadStream(file).pipe(response);
  });
  return new Promise((done, failed) => {
    server.once("error", failed);
    server.listen(port, "127.0.0.1", () => done(server));
  });
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [folder, port] = process.argv.slice(2);
  try {
    await serve(folder, Number(port));
    console.log(`Brokerlab: http://127.0.0.1:${port}/  (Ctrl+C ends it)`);
  } catch (error) {
    console.error(`error: ${error.code === "EADDRINUSE" ? `port ${port} is busy. Choose another with PORT=` : error.message}`);
    process.exit(1);
  }
}
