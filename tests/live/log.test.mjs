// SPDX-License-Identifier: MIT
//
// The log: text and JSON, files and syslog, what is refused, what repeats, and
// that no secret is ever in it.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { Server, peald, pealctl, until } from "./harness.mjs";

const read = (file) => fs.existsSync(file) ? fs.readFileSync(file, "utf8") : "";
/** Lines of a file that is being written. */
const whole = (file) => read(file).split("\n").slice(0, -1);

/** Puts lines into [peal] and has them taken. */
async function settle(server, ...lines) {
	fs.writeFileSync(server.ini, read(server.ini).replace("[peal]\n", `[peal]\n${lines.join("\n")}\n`));
	await promisify(execFile)(pealctl, ["-s", server.control, "reload"]);
}

async function running(options, body) {
	const server = await Server.start(options);
	try {
		await body(server);
	} finally {
		await server.stop();
	}
}

/** A client that is refused a channel, one that is let in, calls, good and bad. */
async function traffic(server) {
	const client = await server.connect();
	await client.subscribe("news");
	client.send({ event: "pusher:subscribe", data: { channel: "private-x=1,level=error", auth: `${server.app.key}:00` } });
	await client.next();
	await server.publish("news", "e", "{}");
	const refused = await server.call("GET", `/apps/${server.app.id}/channels`, undefined,
	    { change: { auth_signature: "0".repeat(64) }, headers: { "X-Request-Id": "abc \"1\" conn=9" } });
	assert.equal(refused.status, 401);
	client.socket.terminate();
}

test("JSON: every line is an object, whatever clients send", () => running({ workers: 2, peal: { log_level: "debug" } }, async (server) => {
	const file = path.join(server.dir, "peal.json");
	await settle(server, `log = ${file}`, "log_format = json");
	await traffic(server);
	const lines = () => whole(file).map((line) => JSON.parse(line));
	const all = await until(() => {
		const got = lines();
		// A reset, if the client had not read all when it went.
		return got.some((l) => l.msg === "closed" && /^PEER_/.test(l.reason)) && got;
	}, () => read(file));
	for (const line of all) {
		assert.match(line.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
		assert.ok(["error", "warn", "info", "debug"].includes(line.level), JSON.stringify(line));
		assert.match(line.process, /^(master|router|worker\/\d)$/);
	}
	const opened = all.find((l) => l.msg === "opened");
	assert.equal(opened.app, server.app.id);
	assert.equal(opened.front, "pusher");
	assert.equal(opened.from, "127.0.0.1");
	assert.ok(all.some((l) => l.msg === "closed" && l.conn === opened.conn));
	const audit = all.filter((l) => l.msg === "refused signature");
	assert.deepEqual(audit.map((l) => l.of).sort(), ["channel", "request"]);
	assert.equal(audit.find((l) => l.of === "channel").name, "private-x=1,level=error");
	const request = audit.find((l) => l.of === "request");
	assert.equal(request.req, "abc \"1\" conn=9");
	assert.match(request.why, /signature/);
	const answer = all.find((l) => l.msg === "answered" && l.status === 401);
	assert.equal(answer.req, "abc \"1\" conn=9");
	assert.equal(answer.path, `/apps/${server.app.id}/channels`);
	assert.equal(answer.level, "info");
	assert.ok(all.some((l) => l.msg === "answered" && l.status === 200 && l.method === "POST"));
}));

test("JSON: the courier's lines are like all others", () => running({
	courier: { allow: "127.0.0.1" }, "webhook a": { url: "http://127.0.0.1:1/" } }, async (server) => {
	const file = path.join(server.dir, "peal.json");
	await settle(server, `log = ${file}`, "log_format = json");
	const client = await server.connect();
	await client.subscribe("news");
	const line = await until(() => whole(file).find((l) => l.includes("did not take a request")), () => read(file));
	const said = JSON.parse(line);
	assert.equal(said.process, "courier");
	assert.equal(said.target, "a");
	assert.match(said.why, / /);
}));

test("a start that fails says why to who started it, wherever the log goes", () => running({}, async (server) => {
	const file = path.join(server.dir, "second.log"), ini = path.join(server.dir, "second.ini");
	const start = (text) => {
		fs.writeFileSync(ini, text.replace("[peal]\n", `[peal]\nlog = ${file}\n`));
		return promisify(execFile)(peald, ["-c", ini]).then(() => assert.fail("it has started"), (e) => e);
	};
	/* The address of the first one. */
	const taken = await start(read(server.ini).replace(/^control.*\n/m, "")
	    .replace("[peal]\n", `[peal]\ncontrol = ${server.dir}/second.sock\n`).replace(/^address = .*/m, `address = 127.0.0.1:${server.port}`));
	assert.equal(taken.code, 1);
	assert.match(taken.stderr, /^(lt-)?peald: .*already in use[^\n]*\n$/);
	assert.match(read(file), / error master: .*already in use/);
	if (process.getuid() !== 0)
		return;
	/* What is found earlier. */
	const nobody = await start(read(server.ini).replace(/^user = .*\n/m, "").replace("[peal]\n", "[peal]\nuser = no-such-user\n"));
	assert.equal(nobody.code, 1);
	assert.match(nobody.stderr, /^(lt-)?peald: .*no user "no-such-user"[^\n]*\n$/);
}));

test("a pipe that nobody reads is refused, and the service goes on", () => running({}, async (server) => {
	server.allow(/reload refused: /);
	const file = path.join(server.dir, "pipe");
	await promisify(execFile)("mkfifo", [file]);
	await assert.rejects(settle(server, `log = ${file}`), /\[peal\] log: .*pipe: /);
	await promisify(execFile)(pealctl, ["-s", server.control, "status"]);
	await traffic(server);
}));

test("no secret is in the log, also when somebody debugs", () => running({ peal: { log_level: "debug" },
	app: { secret: "do-not-tell-this" } }, async (server) => {
	await traffic(server);
	const good = server.sign("GET", `/apps/${server.app.id}/channels`);
	await server.request("GET", `/apps/${server.app.id}/channels?${good}`);
	await server.logged(/answered status=200 method=GET/);
	assert.ok(!server.log.includes("do-not-tell-this"));
	assert.ok(!server.log.includes(new URLSearchParams(good).get("auth_signature")));
}));

test("a flood of refusals: the first lines, then a number", () => running({}, async (server) => {
	const client = await server.connect();
	for (let i = 0; i < 500; i++)
		client.send({ event: "pusher:subscribe", data: { channel: `private-${i}`, auth: `${server.app.key}:00` } });
	for (let i = 0; i < 500; i++)
		await client.next();
	const told = () => {
		const lines = server.log.split("\n").filter((l) => l.includes("refused signature"));
		return lines.length + lines.reduce((n, l) => n + Number(l.match(/left_out=(\d+)/)[1]), 0);
	};
	// What is left out is told with the next one.
	await until(async () => {
		client.send({ event: "pusher:subscribe", data: { channel: "private-last", auth: `${server.app.key}:00` } });
		await client.next();
		return told() > 500;
	}, () => server.log);
	assert.ok(server.log.split("\n").length < 400, server.log);
}));

/** Somebody who listens as syslog does. */
async function syslog(file) {
	const child = spawn(path.join(path.dirname(peald), "tests/tap/tool"), ["datagrams", file],
	    { stdio: ["ignore", "pipe", "inherit"] });
	const got = { child, text: "" };
	child.stdout.setEncoding("utf8").on("data", (part) => { got.text += part; });
	await until(() => fs.existsSync(file), "syslog listens");
	got.end = () => new Promise((resolve) => {
		child.once("close", resolve);
		child.kill("SIGKILL");
	}).then(() => fs.rmSync(file, { force: true }));
	return got;
}

test("syslog: lines with their level, also of a syslog that was started again", async () => {
	const dir = fs.mkdtempSync("/tmp/peal-syslog-");
	const place = path.join(dir, "log");
	fs.chmodSync(dir, 0o755);
	let log = await syslog(place);
	try {
		await running({ workers: 1, env: { PEAL_SYSLOG_SOCKET: place } }, async (server) => {
			await settle(server, "log = syslog");
			await traffic(server);
			await until(() => /^<30>peald\[\d+\]: info worker\/1: refused signature of=channel /m.test(log.text), () => log.text);
			await log.end();
			log = await syslog(place);
			await until(() => / info master: log reopened$/m.test(log.text), () => log.text);
			await traffic(server);
			await until(() => /^<30>peald\[\d+\]: info worker\/1: refused signature of=channel /m.test(log.text), () => log.text);
			await settle(server, "log_format = json");
			await traffic(server);
			await until(() => /^<30>peald\[\d+\]: \{"time":.*"msg":"refused signature"/m.test(log.text), () => log.text);
		});
	} finally {
		await log.end();
		fs.rmSync(dir, { recursive: true });
	}
});
