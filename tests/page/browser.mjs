// SPDX-License-Identifier: MIT
// What the tests of pages share.
//
// Who looks at a page looks at once.  So a test waits for what it wants to see, by
// waitFor, until() or counts(), unless the page makes it in the same turn as
// something that was waited for.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { chromium } from "playwright-core";
import { LIMIT, until } from "../live/harness.mjs";

export function launch() {
	const file = process.env.CHROMIUM ?? ["chromium", "chromium-browser", "google-chrome"]
	    .flatMap((name) => (process.env.PATH ?? "").split(":").map((dir) => path.join(dir, name))).find((f) => fs.existsSync(f));
	assert.ok(file, "no Chromium found; CHROMIUM names it");
	return chromium.launch({ executablePath: file, args: ["--no-sandbox", "--disable-gpu"], timeout: 2 * LIMIT });
}

/** An empty tab: of a browser, in a context of its own. */
export async function blank(browser, options) {
	const context = await browser.newContext(options);
	context.setDefaultTimeout(LIMIT);
	return context.newPage();
}

/** So many there are, in the end. */
export const counts = (locator, n) => until(async () => await locator.count() === n,
    async () => `${n} of ${locator}; ${await locator.count()} there`);
