// SPDX-License-Identifier: MIT
// 15,000 idle subscribers on one machine with default settings, from a shell
// whose limit of open files is small; one message reaches them all.
import assert from "node:assert/strict";
import { fork } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { LIMIT, Server, until, within } from "./harness.mjs";

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
	}), key, 2 * LIMIT);
}

const memory = (pids) => pids.map((pid) => Number(/^RssAnon:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/status`, "utf8"))[1]))
    .reduce((a, b) => a + b) * 1024;

test("15,000 idle subscribers hold", async (t) => {
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
		t.diagnostic(`each connection: ${Math.round(each)} octets`);
		if (!sanitized)
			assert.ok(each < 512, `${Math.round(each)} octets for each connection`);
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

// What a crowd took goes back when it has left, three times over: the memory of
// closed connections, of their subscriptions and of the channels that were theirs.
test("memory comes back when 6,000 subscribers have left", { skip: sanitized }, async () => {
	const KB = 1024, CROWD = 6000;
	const server = await Server.start({ workers: 2 });
	server.allow(/did not end in time/);
	const pids = [...server.pids("peald: worker"), ...server.pids("peald: router")];
	const start = memory(pids), left = [];
	try {
		for (let round = 0; round < 3; round++) {
			const children = Array.from({ length: PROCESSES }, () => fork(script));
			await Promise.all(children.map((child, i) => {
				child.send({ open: CROWD / PROCESSES, port: server.port, key: server.app.key, channel: `crowd-${round}-${i}` });
				return answer(child, "opened");
			}));
			const full = memory(pids);
			assert.ok(full - start > CROWD * 200, `${full - start} octets for all of them?`);
			for (const child of children)
				child.disconnect();
			await until(async () => (await server.get("/channels")).json.channels?.[`crowd-${round}-0`] === undefined, "empty channels");
			// The first time some buffers stay that grew; after that, nothing more may.
			const limit = round === 0 ? start + 768 * KB : left[0] + 192 * KB;
			await until(() => memory(pids) < limit, "memory comes back").catch(() => {
				assert.fail(`round ${round}: ${memory(pids) - start} octets stay (start ${start}, before ${left})`);
			});
			left.push(memory(pids));
		}
	} finally {
		await server.stop();
	}
});
