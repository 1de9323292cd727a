// SPDX-License-Identifier: MIT
// contrib/grafana: the board and the alerts use nothing that is not there, and a real
// Prometheus understands every expression of them and has an answer.
import assert from "node:assert/strict";
import { once } from "node:events";
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { APP, Server, until } from "./harness.mjs";
import { Prometheus, noPrometheus, promtool } from "./prometheus.mjs";

const top = path.join(path.dirname(fileURLToPath(import.meta.url)), "../..");
const folder = path.join(top, "contrib/grafana");
const board = JSON.parse(fs.readFileSync(path.join(folder, "peal.json"), "utf8"));
const alerts = fs.readFileSync(path.join(folder, "peal-alerts.yml"), "utf8");

/** All expressions of the board: [where, text]. */
const expressions = [
	...board.panels.flatMap((p) => (p.targets ?? []).map((t) => [`${p.title} ${t.refId}`, t.expr])),
	...board.annotations.list.filter((a) => a.expr).map((a) => [a.name, a.expr]),
];
const names = (text) => [...text.matchAll(/\bpeal_[a-z_]+/g)].map(([name]) => name);
/** What doc/METRICS has, with what histograms have behind their names. */
const known = new Set([...fs.readFileSync(path.join(top, "doc/METRICS"), "utf8").matchAll(/^(peal_[a-z_]+)(?:\{.*\})?  (\w+)$/gm)]
    .flatMap(([, name, type]) => type === "histogram" ? ["_bucket", "_sum", "_count"].map((end) => name + end) : [name]));
const labels = Object.fromEntries([...fs.readFileSync(path.join(top, "doc/METRICS"), "utf8").matchAll(/^(peal_[a-z_]+)(?:\{(.*)\})?  \w+$/gm)]
    .map(([, name, list]) => [name, (list ?? "").split(", ")]));

test("the board: panels, variables, and only metrics that exist", () => {
	assert.ok(known.size > 100);
	assert.ok(expressions.length > 90);
	assert.deepEqual(board.templating.list.map((v) => v.name), ["datasource", "job", "instance", "app"]);
	const asked = [...expressions.map(([, text]) => text), ...board.templating.list.map((v) => String(v.definition ?? ""))];
	assert.deepEqual(asked.flatMap(names).filter((name) => !known.has(name)), []);
	assert.equal(new Set(board.panels.map((p) => p.id)).size, board.panels.length);
	for (const p of board.panels) {
		const { x, w } = p.gridPos;
		assert.ok(x >= 0 && x + w <= 24, p.title);
		for (const t of p.targets ?? [])
			assert.equal(t.datasource.uid, "${datasource}", p.title);
	}
	// A choice of an application is for those that say it.
	for (const [where, text] of expressions)
		for (const [, name, inside] of text.matchAll(/(peal_[a-z_]+)\{([^}]*)\}/g)) {
			assert.match(inside, /job=~"\$job",instance=~"\$instance"/, where);
			if (inside.includes("$app"))
				assert.ok(labels[name].includes("app"), `${where}: ${name}`);
		}
});

test("the alerts: only metrics that exist, and each fires when it should", { skip: noPrometheus }, () => {
	assert.deepEqual(names(alerts).filter((name) => !known.has(name)), []);
	promtool(["check", "rules", "peal-alerts.yml"], "", folder);
	promtool(["test", "rules", "peal-alerts_test.yml"], "", folder);
	const all = [...alerts.matchAll(/alert: (\w+)/g)].map(([, name]) => name);
	const tested = fs.readFileSync(path.join(folder, "peal-alerts_test.yml"), "utf8");
	for (const name of all)
		assert.match(tested, new RegExp(`alertname="${name}"`), name);
});

/** What is not there without a broker, or without troubles. */
const QUIET = /^(Closed, by reason|Reloads|Starts) ?/;

test("Prometheus answers every expression of the board", { skip: noPrometheus }, async () => {
	const hooks = http.createServer((req, res) => { req.resume(); res.end(); }).listen(0, "127.0.0.1");
	await once(hooks, "listening");
	const s = await Server.start({ workers: 2, metrics: { address: "127.0.0.1:0" }, app: { ping_interval: "1h" },
	    courier: { allow_private: "yes" }, "webhook site": { url: `http://127.0.0.1:${hooks.address().port}/` } });
	const prom = await Prometheus.start({ targets: [s.addresses.find((a) => a !== s.address)],
	    rules: [path.join(folder, "peal-alerts.yml")] });
	try {
		const crowd = await s.crowd(6);
		for (const c of crowd)
			await c.subscribe("room");
		for (let i = 0; i < 20; i++)
			await s.publish("room", "e", `${i}`);
		await crowd[0].close();
		await until(async () => await prom.value("peal_webhook_delivered_events_total > 0") !== undefined, "a webhook");
		// A rate needs two scrapes of each.
		for (let i = 0; i < 4; i++)
			await prom.scraped();
		const filled = (text) => text.replaceAll("$job", "peal").replaceAll("$instance", ".*").replaceAll("$app", APP.id)
		    .replaceAll("$__rate_interval", "1m");
		const empty = [];
		for (const [where, text] of expressions) {
			assert.doesNotMatch(filled(text), /\$/, where);
			if ((await prom.query(filled(text))).length === 0)
				empty.push(where);
		}
		assert.deepEqual(empty.filter((where) => !QUIET.test(where)), []);
		assert.deepEqual(await prom.query('ALERTS{alertstate="firing"}'), []);
		const { data } = await (await fetch(`http://${prom.address}/api/v1/rules`)).json();
		const rules = data.groups.flatMap((g) => g.rules);
		assert.ok(rules.length >= 12);
		await until(async () => {
			const { data: now } = await (await fetch(`http://${prom.address}/api/v1/rules`)).json();
			return now.groups.flatMap((g) => g.rules).every((r) => r.health === "ok");
		}, "all rules to be evaluated");
	} finally {
		await prom.stop();
		hooks.close();
		await s.stop();
	}
});
