// Every lesson that the page lists: its link, hints, solution and reset. Names no lesson, so that a new one is tested the day it is written.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { start } from "./page.mjs";

/** Virtual time against real time while a solution is replayed. */
const SPEED = 20;

let site;
before(async () => {
  site = await start();
});
after(() => site.close());

const drawer = (page) => page.getByRole("region", { name: "Lesson", exact: true });

/** The addresses of all lessons, in the page's order. */
async function listed(page) {
  await page.getByRole("button", { name: "Lessons", exact: true }).click();
  const links = await drawer(page).getByRole("listitem").getByRole("link").evaluateAll((all) => all.map((link) => link.getAttribute("href")));
  await page.getByRole("button", { name: "Close lessons" }).click();
  return links;
}

test("the page lists lessons, each with an address of its own", async () => {
  const page = await site.open();
  const links = await listed(page);
  assert.ok(links.length > 0, "the list is empty");
  assert.equal(new Set(links).size, links.length);
  for (const link of links) assert.match(link, /^#\/lesson\/[a-z0-9-]+$/);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test("each solution reaches every goal, and is not counted as the learner's", async () => {
  const page = await site.open();
  const links = await listed(page);
  assert.ok(links.length > 0, "the list is empty");
  for (const link of links) {
    await page.evaluate((link) => (location.hash = link), link);
    const lesson = drawer(page);
    const goals = lesson.locator(".goals > li");
    const open = lesson.getByText("Not met: ");
    await lesson.getByRole("heading", { name: "Objective" }).waitFor();
    await page.waitForFunction(() => document.querySelectorAll(".goals > li").length > 0);
    assert.ok((await open.count()) > 0, `${link} is solved before it begins`);
    await lesson.getByRole("button", { name: "Solution", exact: true }).click();
    await page.evaluate((speed) => brokerlab.play(speed), SPEED);
    await lesson.getByText("Reached by the shown solution.").waitFor({ timeout: 30_000 });
    assert.equal(await open.count(), 0, link);
    await lesson.getByRole("button", { name: "Reset", exact: true }).click();
    await open.first().waitFor();
    assert.ok((await goals.count()) > 0);
  }
  await page.evaluate(() => (location.hash = "#/"));
  await page.getByRole("button", { name: "Session: Free play" }).waitFor();
  await drawer(page).getByText(`0 of ${links.length} solved`).waitFor();
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test("hints come one at a time, and reset brings the start back", async () => {
  const page = await site.open();
  const [first] = await listed(page);
  assert.ok(first, "the list is empty");
  await page.goto(site.address + first);
  await page.reload();
  await page.waitForFunction(() => window.brokerlab);
  const lesson = drawer(page);
  const next = lesson.getByRole("button", { name: /^Hint \d+ of \d+$/ });
  const hints = Number((await next.textContent()).split(" ").at(-1));
  const start = await page.evaluate(() => (brokerlab.pause(), brokerlab.traceHash()));
  for (let shown = 1; shown <= hints; shown += 1) {
    await next.click();
    await lesson.getByText(`Hint ${shown}`, { exact: true }).waitFor();
    assert.equal(await lesson.getByText(/^Hint \d+$/).count(), shown);
  }
  assert.equal(await next.getAttribute("aria-disabled"), "true", "there is no further hint");
  await page.evaluate(() => {
    brokerlab.command({ type: "createTopic", name: "a-learners-mistake", partitions: 1, replicationFactor: 1 });
    brokerlab.advance(1000);
  });
  await lesson.getByRole("button", { name: "Reset", exact: true }).click();
  await page.waitForFunction(() => brokerlab.view().topics.every((topic) => topic.name !== "a-learners-mistake"));
  assert.equal(await page.evaluate(() => brokerlab.traceHash()), start);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

/** The commands of a level's own solution, looked at while it is shown; the level is as it began afterwards. */
async function solution(page, lesson) {
  await lesson.getByRole("button", { name: "Solution", exact: true }).click();
  await page.evaluate((speed) => brokerlab.play(speed), SPEED);
  await lesson.getByText("Reached by the shown solution.").waitFor({ timeout: 30_000 });
  const commands = await page.evaluate(() => (brokerlab.pause(), brokerlab.export().commands.map((timed) => timed.command)));
  await lesson.getByRole("button", { name: "Reset", exact: true }).click();
  await lesson.getByText("Not met: ").first().waitFor();
  const given = await page.evaluate(() => brokerlab.export().commands.length);
  return commands.slice(given);
}

test("a learner who solves a level is told, and a reload remembers", async () => {
  const page = await site.open();
  const links = await listed(page);
  assert.ok(links.length > 0, "the list is empty");
  const link = links[0];
  // The solution's own commands, given by the learner through the page's dialog.
  await page.evaluate((link) => (location.hash = link), link);
  const lesson = drawer(page);
  for (const command of await solution(page, lesson)) {
    assert.equal(command.type, "send", "the first lesson is solved by sending; write its other commands here");
    await page.getByRole("button", { name: "Send record", exact: true }).first().click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Key", { exact: true }).fill(command.key);
    await dialog.getByLabel("Value", { exact: true }).fill(command.value);
    await dialog.getByRole("button", { name: "Send record", exact: true }).click();
    await dialog.waitFor({ state: "hidden" });
    await page.evaluate(() => brokerlab.advance(300));
  }
  await page.evaluate(() => brokerlab.advance(3000));
  await lesson.getByText(/^Solved with \d+ commands?; \d+ is par\.$/).waitFor();
  await page.goto(site.address);
  await page.reload();
  await page.waitForFunction(() => window.brokerlab);
  await page.getByRole("button", { name: "Lessons", exact: true }).click();
  await drawer(page).getByText(`1 of ${links.length} solved`).waitFor();
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test("a level counts as solved by the commands of a script as well", async () => {
  const page = await site.open();
  const [link] = await listed(page);
  await page.evaluate((link) => (location.hash = link), link);
  const lesson = drawer(page);
  for (const command of await solution(page, lesson)) {
    await page.evaluate((command) => (brokerlab.command(command), brokerlab.advance(300)), command);
  }
  await page.evaluate(() => brokerlab.advance(3000));
  await lesson.getByText(/^Solved with \d+ commands?; \d+ is par\.$/).waitFor();
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test("free play is as it was left, and an unknown lesson is free play", async () => {
  const page = await site.open();
  const [first] = await listed(page);
  assert.ok(first, "the list is empty");
  const left = await page.evaluate(() => {
    brokerlab.pause();
    brokerlab.command({ type: "createTopic", name: "left-behind", partitions: 1, replicationFactor: 1 });
    return brokerlab.traceHash();
  });
  await page.evaluate((link) => (location.hash = link), first);
  await page.waitForFunction(() => brokerlab.view().topics.every((topic) => topic.name !== "left-behind"));
  await page.evaluate(() => (location.hash = "#/"));
  await page.waitForFunction(() => brokerlab.view().topics.some((topic) => topic.name === "left-behind"));
  assert.equal(await page.evaluate(() => (brokerlab.pause(), brokerlab.traceHash())), left);
  await page.evaluate(() => (location.hash = "#/lesson/<img src=x>"));
  await page.getByRole("button", { name: "Session: Free play" }).waitFor();
  assert.equal(await page.locator("img").count(), 0);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});
