// SPDX-License-Identifier: MIT
//
// contrib/bench/crowd in a live test, and what reloads need: a peald of its own
// to replace, settings to change, and binaries that are broken on purpose.
import { spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { Server, ini, patience, peald, until, within } from "./harness.mjs";

const program = process.env.PEAL_CROWD ??
    path.join(path.dirname(peald), "contrib/bench/crowd");

export const sanitized = process.env.PEAL_TEST_SANITIZED !== undefined;
/** Fewer clients and rounds, where all is slow. */
export const brief = sanitized || process.env.PEAL_TEST_BRIEF !== undefined;

/** What must not happen to anybody when nothing dies. */
const FAULTS = ["disconnects", "refused", "missing", "missing_away", "doubled", "disordered", "strange",
    "unanswered", "noise", "presence_wrong", "presence_again", "errors", "api_failed", "blinks"];
export const faults = (report, names = FAULTS) => Object.fromEntries([
	...names.filter((name) => report[name] !== 0).map((name) => [name, report[name]]),
	...(names.some((name) => report[name] !== 0) ? [["codes", report.codes], ["status", report.status],
	    ["first", report.first_fault]] : [])]);

/** Clients of a server, and an application, in processes of their own. */
export class Crowd {
	#lines = [];
	#text = "";
	#woken = null;

	/** options: those of the program, without dashes. */
	static async start(server, options = {}) {
		const crowd = new Crowd();
		crowd.server = server;
		const args = Object.entries({ port: server.port, secret: server.app.secret,
		    wait: 15 * patience, ...options }).flatMap(([k, v]) => [`--${k}`, String(v)]);
		crowd.child = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"] });
		crowd.child.stdin.on("error", () => {});
		crowd.gone = new Promise((resolve) => crowd.child.once("close", (code, signal) => resolve(signal ?? code)))
		    .then((status) => { crowd.status = status; crowd.#woken?.(); return status; });
		crowd.child.stdout.setEncoding("utf8").on("data", (text) => {
			const lines = (crowd.#text += text).split("\n");
			crowd.#text = lines.pop();
			crowd.#lines.push(...lines.map((line) => JSON.parse(line)));
			crowd.#woken?.();
		});
		crowd.ready = await crowd.#line("ready");
		return crowd;
	}

	async #line(what) {
		return within(new Promise((resolve, reject) => {
			const look = () => {
				const line = this.#lines.shift();
				if (line?.[what])
					resolve(line);
				else if (line)
					reject(new Error(`crowd said ${JSON.stringify(line)} instead of ${what}`));
				else if (this.status !== undefined)
					reject(new Error(`crowd ended with ${this.status}`));
				else
					this.#woken = look;
			};
			look();
		}), `crowd: ${what}`).finally(() => { this.#woken = null; });
	}

	/** All that was counted so far. */
	mark() {
		this.child.stdin.write("\n");
		return this.#line("mark");
	}

	/** Until so many more messages were heard: the load goes on. */
	async hears(n) {
		const { received } = await this.mark();
		return until(async () => {
			const now = await this.mark();
			return now.received >= received + n && now;
		}, `${n} messages more`);
	}

	/** Everybody is in again. */
	back() {
		return until(async () => {
			const now = await this.mark();
			return now.open === this.ready.open && now;
		}, "all clients to be back");
	}

	/** No more is sent; what was counted when all had arrived. */
	async end() {
		this.child.stdin.end();
		const report = await this.#line("end");
		await this.gone;
		return report;
	}

	async stop() {
		this.child.stdin.end();
		if (this.status === undefined)
			this.child.kill();
		await this.gone;
	}
}

/** define(server, crowd) under load; what the server said is shown if it fails. */
export async function crowded(options, load, define) {
	const server = await reloadable(options);
	let crowd;
	try {
		crowd = await Crowd.start(server, load);
		await define(server, crowd);
	} catch (error) {
		error.message += `\n${server.log.slice(-10000)}`;
		await crowd?.stop();
		await server.stop().catch(() => {});	// the first error tells more
		throw error;
	}
	await crowd.stop();
	await server.stop();
}

// ---- a server that is reloaded ----------------------------------------------------

/** A Server that runs a binary of its own, which can be replaced. */
export async function reloadable(options = {}) {
	const dir = fs.mkdtempSync(path.join(os.tmpdir(), "peal-binary-"));
	const binary = path.join(dir, "peald");
	fs.chmodSync(dir, 0o755);
	fs.copyFileSync(peald, binary);
	const server = await Server.start({ ...options, peal: { watchdog: "30s", ...options.peal },
	    through: ["sh", "-c", `exec ${binary} "$@"`] });
	server.binary = binary;
	server.settings = {};
	server.base = fs.readFileSync(server.ini, "utf8");
	const { stop } = server;
	server.stop = async (...args) => {
		try { await stop.apply(server, args); } finally { fs.rmSync(dir, { recursive: true, force: true }); }
	};
	return server;
}

/** Other settings from the next reload on: { section: { key: value } }; a section
 * may stand in the file more than once, and the last word counts. */
export function change(server, sections) {
	for (const [name, keys] of Object.entries(sections))
		server.settings[name] = { ...server.settings[name], ...keys };
	let text = server.base;
	for (const [name, keys] of Object.entries(server.settings))
		for (const [key, value] of Object.entries(keys)) {
			const line = new RegExp(`(^\\[${name}\\]\\n(?:[^[]*\\n)?)${key} = .*\\n`, "m");
			text = line.test(text) ? text.replace(line, `$1${key} = ${value}\n`) :
			    text.includes(`[${name}]\n`) ? text.replace(`[${name}]\n`, `[${name}]\n${key} = ${value}\n`) :
			    text + ini({ [name]: { [key]: value } });
		}
	fs.writeFileSync(server.ini, text);
}

/** Another file in the binary's place, as a package manager does it: renamed over
 * it.  edit(bytes) may change them. */
export function replace(server, edit = (bytes) => Buffer.concat([bytes, Buffer.from([0])])) {
	const bytes = edit(fs.readFileSync(server.binary));
	fs.writeFileSync(`${server.binary}.new`, bytes, { mode: 0o755 });
	fs.renameSync(`${server.binary}.new`, server.binary);
}

/** Where a function begins in an ELF file of 64 bits; undefined: stripped. */
function offset_of(elf, name) {
	const at = Number(elf.readBigUInt64LE(40)), size = elf.readUInt16LE(58), n = elf.readUInt16LE(60);
	const sections = Array.from({ length: n }, (_, i) => {
		const p = at + i * size;
		return { type: elf.readUInt32LE(p + 4), address: elf.readBigUInt64LE(p + 16),
		    offset: Number(elf.readBigUInt64LE(p + 24)), size: Number(elf.readBigUInt64LE(p + 32)), link: elf.readUInt32LE(p + 40) };
	});
	const table = sections.find((s) => s.type === 2);
	for (let p = table?.offset; table && p < table.offset + table.size; p += 24) {
		const start = sections[table.link].offset + elf.readUInt32LE(p);
		if (elf.toString("latin1", start, elf.indexOf(0, start)) !== name)
			continue;
		const home = sections[elf.readUInt16LE(p + 6)];
		return home && home.offset + Number(elf.readBigUInt64LE(p + 8) - home.address);
	}
	return undefined;
}

// exit_group(1), and pause() for ever, in the words of the processor.
const WORDS = {
	x64: { exit: "bf01000000b8e70000000f05", hang: "b8220000000f05ebf7" },
	arm64: { exit: "200080d2c80b80d2010000d4", hang: "000080d2010080d2020080d2030080d2e80980d2010000d4faffff17" },
}[process.arch];

/** An edit for replace(): the function ends its process, or hangs. */
export const broken = WORDS && ((name, how) => (bytes) => {
	const copy = Buffer.from(bytes), at = offset_of(copy, name);
	if (at === undefined)
		throw new Error(`${name}: not in the symbols of peald`);
	copy.write(WORDS[how], at, "hex");
	return copy;
});
