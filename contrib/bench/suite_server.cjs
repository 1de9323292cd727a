// SPDX-License-Identifier: MIT
//
// A server for one measurement: Peal, or the floor; and what its processes use.
'use strict';
const { execFileSync, spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const app = { id: 'bench', key: 'bench-key', secret: 'bench-secret' };
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const read = (file) => {
	try {
		return fs.readFileSync(file, 'latin1');
	} catch {
		return '';
	}
};

// Lines of [listen]: a certificate of its own.
function certify(dir) {
	execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt',
		'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj',
		'/CN=localhost', '-keyout', `${dir}/key`, '-out', `${dir}/chain`],
	    { stdio: 'ignore' });
	return `certificate = ${dir}/chain\ncertificate_key = ${dir}/key\n`;
}

// listen: lines of that section; sections: more of them.
function settings(dir, port, workers, listen, sections) {
	const user = process.getuid() === 0 ? 'nobody' : os.userInfo().username;
	return `[peal]
workers = ${workers}
user = ${user}
control = ${dir}/control.sock
[listen]
address = 0.0.0.0:${port}
${listen}[http]
max_request_size = 1m
[app bench]
id = ${app.id}
key = ${app.key}
secret = ${app.secret}
client_events = all
max_message_size = 1m
max_channels = 10000000
activity_timeout = 10m
ping_interval = 10m
${sections}`;
}

// Process and all it descends to: { pid, role }.
function family(root) {
	const parents = new Map();
	for (const name of fs.readdirSync('/proc')) {
		const stat = /^\d+$/.test(name) ? read(`/proc/${name}/stat`) : '';
		const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
		if (stat !== '')
			parents.set(Number(name), Number(fields[1]));
	}
	const pids = [root];
	for (let i = 0; i < pids.length; i++)
		for (const [pid, parent] of parents)
			if (parent === pids[i])
				pids.push(pid);
	return pids.map((pid) => {
		const words = read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ');
		const role = /^peald: (\w+)/.exec(words);
		return { pid, role: role ? role[1] : pid === root ? 'master' : 'worker' };
	});
}

class Server {
	// what: 'floor', 'peald', or 'tls': peald with a certificate; sections(dir):
	// more of its settings
	constructor(build, what, workers, port, sections = () => '') {
		Object.assign(this, { build, what, workers, port, sections });
		this.name = what === 'peald' ? `peal-${workers}` : what === 'tls' ?
			'tls' : workers === 1 ? 'floor' : `floor-${workers}`;
	}

	async start() {
		this.dir = fs.mkdtempSync(path.join(os.tmpdir(), 'peal-suite-'));
		fs.chmodSync(this.dir, 0o755);
		const log = path.join(this.dir, 'log');
		const out = fs.openSync(log, 'w');
		let command = ['contrib/bench/floor', '--port', this.port,
			'--workers', this.workers];
		if (this.what !== 'floor') {
			const file = path.join(this.dir, 'peal.ini');
			fs.writeFileSync(file, settings(this.dir, this.port,
			    this.workers, this.what === 'tls' ?
				certify(this.dir) : '', this.sections(this.dir)));
			command = ['peald', '-c', file];
		}
		command[0] = path.resolve(this.build, command[0]);
		const began = process.hrtime.bigint();
		this.child = spawn('/bin/sh', ['-c',
			'ulimit -Sn "$(ulimit -Hn)"; exec "$0" "$@"', ...command],
			{ stdio: ['ignore', out, out] });
		this.ended = new Promise((done) => this.child.once('exit', done));
		fs.closeSync(out);
		while (!this.ready(log)) {
			if (this.child.exitCode !== null)
				throw new Error(`${command[0]}: ${read(log)}`);
			await sleep(1);
		}
		this.start_ms = Number(process.hrtime.bigint() - began) / 1e6;
		this.processes = family(this.child.pid);
		return this;
	}

	ready(log) {
		if (this.what !== 'floor')
			return read(log).includes(' master: ready');
		const port = this.port.toString(16).toUpperCase().padStart(4, '0');
		return new RegExp(`:${port} 0+:0000 0A`).test(
		    read(`/proc/${this.child.pid}/net/tcp6`));
	}

	async stop() {
		if (this.child.exitCode !== null || this.child.signalCode !== null)
			throw new Error(`${this.name} has ended: ` +
			    `${this.child.exitCode ?? this.child.signalCode}\n` +
			    read(path.join(this.dir, 'log')));
		this.child.kill(this.what === 'floor' ? 'SIGTERM' : 'SIGQUIT');
		await this.ended;
		fs.rmSync(this.dir, { recursive: true });
	}

	// What pealctl says, an object a line.
	ask(...words) {
		const text = execFileSync(path.resolve(this.build, 'pealctl'),
		    ['-s', `${this.dir}/control.sock`, '--json', ...words],
		    { encoding: 'utf8' });
		return text.split('\n').filter((l) => l !== '').map((l) => JSON.parse(l));
	}

	// Seconds of processor, by role and in all.
	cpu() {
		const used = { all: 0, router: 0, worker: 0, master: 0, courier: 0 };
		for (const { pid, role } of this.processes) {
			const s = Number(read(`/proc/${pid}/schedstat`)
			    .split(' ')[0]) / 1e9;
			used[role] += s;
			used.all += s;
		}
		return used;
	}

	// Octets, by role and in all; what is shared counts in parts.
	memory() {
		const used = { all: 0, router: 0, worker: 0, master: 0, courier: 0 };
		for (const { pid, role } of this.processes) {
			const pss = /^Pss:\s+(\d+)/m.exec(
			    read(`/proc/${pid}/smaps_rollup`));
			used[role] += pss ? pss[1] * 1024 : 0;
			used.all += pss ? pss[1] * 1024 : 0;
		}
		return used;
	}
}

function machine(build) {
	const version = execFileSync(path.resolve(build, 'peald'), ['--version'],
	    { encoding: 'utf8' }).trim();
	return { tool: 'suite', run: 'machine', version,
		date: new Date().toISOString().slice(0, 10),
		processors: os.cpus().length, model: os.cpus()[0].model.trim(),
		memory_mb: Math.round(os.totalmem() / 2 ** 20),
		system: `${os.type()} ${os.release().split('-')[0]}` };
}

module.exports = { Server, app, machine, sleep };
