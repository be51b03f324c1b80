// What every browser test needs: the built page on a loopback port, a real Chromium, and a page that must not complain.
import { chromium } from "playwright-core";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { serve } from "../../scripts/static.mjs";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

/** Serves dist/ and starts a browser; `close` ends both. */
export async function start() {
  const server = await serve(join(ROOT, "dist"), 0);
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
  const address = `http://127.0.0.1:${server.address().port}/`;
  return {
    browser,
    address,
    /** A fresh page with the engine running; `complaints` collects console errors and exceptions. */
    async open({ hash = "", before, ...options } = {}) {
      const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
      const page = await context.newPage();
      page.complaints = [];
      page.on("console", (message) => message.type() === "error" && page.complaints.push(message.text()));
      page.on("pageerror", (error) => page.complaints.push(error.message));
      if (before) await page.addInitScript(before);
      await page.goto(address + hash);
      await page.waitForFunction(() => window.brokerlab);
      return page;
    },
    async close() {
      await browser.close();
      server.close();
    },
  };
}
