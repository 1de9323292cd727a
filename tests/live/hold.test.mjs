// SPDX-License-Identifier: MIT
// 15,000 idle subscribers on one machine with default settings, from a shell
// whose limit of open files is small; one message reaches them all.
import assert from "node:assert/strict";
import { fork } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { Server, until, within } from "./harness.mjs";

const CLIENTS = 15000, PROCESSES = 3;
const sanitized = process.env.PEAL_TEST_SANITIZED !== undefined;
const script = path.join(path.dirname(fileURLToPath(import.meta.url)), "hold-clients.mjs");

function answer(child, key) {
	return within(new Promise((resolve, reject) => {
		child.on("message", function listener(m) {
			if (m.error)
				reject(new Error(m.error));
			if (m[key] !== undefined) {
				child.off("message", listener);
				resolve(m);
			}
		});
		child.once("exit", () => reject(new Error("client process ended")));
	}), key, 120000);
}

const memory = (pids) => pids.map((pid) => Number(/^RssAnon:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/status`, "utf8"))[1]))
    .reduce((a, b) => a + b) * 1024;

test("15,000 idle subscribers hold", async () => {
	const server = await Server.start({ workers: 2, descriptors: 1024 });
	server.allow(/did not end in time/);	// the tests' clients are cut at once
	const children = Array.from({ length: PROCESSES }, () => fork(script));
	try {
		const workers = server.pids("peald: worker"), before = memory(workers);
		await Promise.all(children.map((child) => {
			child.send({ open: CLIENTS / PROCESSES, port: server.port, key: server.app.key, channel: "all" });
			return answer(child, "opened");
		}));
		await until(async () => (await server.get("/channels/all", { info: "subscription_count" })).json.subscription_count === CLIENTS, "15,000 subscribers");
		const each = (memory(workers) - before) / CLIENTS;
		if (!sanitized)
			assert.ok(each < 1500, `${Math.round(each)} octets for each connection`);
		await Promise.all(children.map((child) => { child.send({ marker: "to-everybody" }); return answer(child, "armed"); }));
		const heard = Promise.all(children.map((child) => answer(child, "heard")));
		await server.publish("all", "to-everybody", "1");
		for (const m of await heard)
			assert.deepEqual(m, { heard: CLIENTS / PROCESSES, lost: 0 });
	} finally {
		for (const child of children)
			child.disconnect();
		await server.stop();
	}
});
