// SPDX-License-Identifier: MIT
//
// Debian's prometheus for the live tests: scrapes targets, and is asked by its
// HTTP API.
//
//	const prom = await Prometheus.start({ targets: [address], token });
//	await prom.value('sum(peal_connections)'); await prom.stop();
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { patience, until, within } from "./harness.mjs";
import { freePort } from "./redis.mjs";

const found = (name) => spawnSync(name, ["--version"], { stdio: "ignore" }).status === 0;
export const noPrometheus = !(found("prometheus") && found("promtool")) &&
    "PROMETHEUS IS NOT INSTALLED (Debian: prometheus): what it makes of the metrics is not tested";

/** promtool ...: its output; it must be content. */
export function promtool(args, input, cwd) {
	const { status, stdout, stderr } = spawnSync("promtool", args, { input, cwd, encoding: "utf8" });
	assert.equal(status, 0, stdout + stderr);
	return stdout + stderr;
}

export class Prometheus {
	/** targets: addresses; more: further lines of the scrape_config; rules:
	 * files. */
	static async start({ targets, more = "", rules = [], interval = 250 * patience }) {
		const prom = new Prometheus();
		prom.dir = fs.mkdtempSync(path.join(os.tmpdir(), "peal-prometheus-"));
		const file = path.join(prom.dir, "prometheus.yml");
		fs.writeFileSync(file, `global: {scrape_interval: ${interval}ms, scrape_timeout: ${interval}ms, evaluation_interval: ${interval}ms}
rule_files: ${JSON.stringify(rules)}
scrape_configs:
  - job_name: peal
    static_configs: [{targets: ${JSON.stringify(targets)}}]
${more}`);
		promtool(["check", "config", file]);
		for (let attempt = 0; ; attempt++) {
			prom.address = `127.0.0.1:${await freePort()}`;
			prom.log = "";
			prom.ended = undefined;
			prom.child = spawn("prometheus", [`--config.file=${file}`, `--storage.tsdb.path=${prom.dir}/data`,
			    `--web.listen-address=${prom.address}`, "--log.level=warn"], { cwd: prom.dir, stdio: ["ignore", "pipe", "pipe"] });
			prom.gone = new Promise((resolve) => prom.child.once("close", () => { prom.ended = true; resolve(); }));
			for (const stream of [prom.child.stdout, prom.child.stderr])
				stream.on("data", (part) => { prom.log += part; });
			await until(() => prom.ended || fetch(`http://${prom.address}/-/ready`).then((r) => r.ok, () => false),
			    () => `prometheus to be ready: ${prom.log}`);
			if (!prom.ended)
				return prom;
			if (attempt === 3)
				throw new Error(`prometheus ended: ${prom.log}`);
		}
	}

	/** What is there now, or was (expression[5m]): [{ metric, value(s) }]. */
	async query(expression) {
		const answer = await within(fetch(`http://${this.address}/api/v1/query`, { method: "POST",
		    body: new URLSearchParams({ query: expression }) }), expression);
		const json = await answer.json();
		assert.equal(json.status, "success", `${expression}: ${json.error}`);
		return json.data.result;
	}

	/** The one number that the expression is now; undefined: nothing. */
	async value(expression) {
		const all = await this.query(expression);
		assert.ok(all.length <= 1, `${expression}: ${JSON.stringify(all)}`);
		return all.length ? Number(all[0].value[1]) : undefined;
	}

	/** The same where there must be one: a scrape may have taken too long. */
	now(expression) {
		return until(async () => {
			const number = await this.value(expression);
			return number !== undefined && { number };
		}, expression).then(({ number }) => number);
	}

	/** Waits until the expression is this number. */
	async is(expression, number) {
		let last;
		await until(async () => (last = await this.value(expression)) === number,
		    () => `${expression} to be ${number}; it is ${last}`);
	}

	/** All targets were scraped once more from now on. */
	async scraped() {
		const now = Date.now() / 1000;
		await until(async () => {
			const up = await this.query("timestamp(up) and on (instance) up == 1");
			return up.length > 0 && up.every(({ value }) => Number(value[1]) > now);
		}, async () => `another scrape; ${JSON.stringify(await this.targets())}`);
	}

	/** How the last scrapes went. */
	async targets() {
		const { data } = await (await fetch(`http://${this.address}/api/v1/targets`)).json();
		return data.activeTargets.map(({ scrapeUrl, health, lastError, lastScrape }) => ({ scrapeUrl, health, lastError, lastScrape }));
	}

	/** Every series of a counter since the start; names of those that went back,
	 * and how many series there are. */
	async resets() {
		const series = await this.query('{__name__=~"peal_.*(_total|_count|_sum|_bucket)"}[1h]'), back = [];
		for (const { metric, values } of series)
			for (let i = 1; i < values.length; i++)
				if (Number(values[i][1]) < Number(values[i - 1][1]))
					back.push(`${JSON.stringify(metric)}: ${values[i - 1][1]}, then ${values[i][1]}`);
		return { back, n: series.length };
	}

	async stop() {
		if (!this.ended)
			this.child.kill("SIGTERM");
		await within(this.gone, "prometheus to end").catch((error) => { this.child.kill("SIGKILL"); throw error; });
		fs.rmSync(this.dir, { recursive: true, force: true });
	}
}
