// SPDX-License-Identifier: MIT
//
// Reloads in quick succession that replace the courier, too, while clients speak:
// each finds the one before in the middle of something.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { unique, until } from "./harness.mjs";
import { hooked } from "./targets.mjs";

const AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt";

test("reloads one behind the other that replace the courier lose no event", { skip: !fs.existsSync(AUTHORITIES) }, () => hooked({ workers: 2, hook: { events: "client_event" }, app: { client_events: "members" } }, async ({ server, target }) => {
	const client = await server.connect(), room = unique("private-room");
	await client.subscribe(room);
	const settings = fs.readFileSync(server.ini, "utf8");
	const copy = path.join(server.dir, "authorities.pem");
	fs.copyFileSync(AUTHORITIES, copy);
	let said = 0, speaking = true;
	const speak = (async () => {
		while (speaking) {
			client.send({ event: "client-said", channel: room, data: String(said++) });
			await new Promise((resolve) => setTimeout(resolve, 3));
		}
	})();
	for (let i = 0; i < 8; i++) {
		fs.writeFileSync(server.ini, settings.replace("[courier]", `[courier]\nca_file = ${i % 2 ? AUTHORITIES : copy}`));
		await server.ctl("reload");
	}
	speaking = false;
	await speak;
	const heard = () => new Set(target.events.map((e) => Number(e.data)));
	await until(() => heard().size === said, () => `heard ${heard().size} of ${said}`);
	assert.equal((await server.ctl("status")).totals.hooks_untold, 0);
}));
