// SPDX-License-Identifier: MIT
//
// Real proxies for the live tests: nginx and HAProxy with the very files of
// contrib, in which ports, names and paths are replaced by our own.  Each has
// TLS with a certificate made here and ends with stop().
//
//	const proxy = await Proxy.haproxy([server.address]);
//	proxy.address, proxy.log; await proxy.stop();
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { after } from "node:test";
import { fileURLToPath } from "node:url";
import { until, within } from "./harness.mjs";
import { freePort } from "./redis.mjs";

const contrib = path.join(path.dirname(fileURLToPath(import.meta.url)), "../../contrib");
export const dir = fs.mkdtempSync(path.join(os.tmpdir(), "peal-proxy-"));
fs.chmodSync(dir, 0o755);
after(() => fs.rmSync(dir, { recursive: true, force: true }));

function program(name) {
	for (const folder of [...process.env.PATH.split(":"), "/usr/sbin", "/usr/local/sbin"])
		if (fs.existsSync(path.join(folder, name)))
			return path.join(folder, name);
	return undefined;
}
const nginx = program("nginx"), haproxy = program("haproxy");
export const noNginx = !nginx && "nginx is not installed", noHaproxy = !haproxy && "HAProxy is not installed";

export const key = path.join(dir, "key.pem"), chain = path.join(dir, "chain.pem");
const both = path.join(dir, "both.pem");
execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", chain], { stdio: "ignore" });
fs.writeFileSync(both, fs.readFileSync(chain, "utf8") + fs.readFileSync(key, "utf8"));
export const ca = fs.readFileSync(chain);

// ---- the proxies ---------------------------------------------------------------

let files = 0;

/** Replaces each pattern, which must be there: the file is what people use. */
function settled(file, replacements) {
	let text = fs.readFileSync(path.join(contrib, file), "utf8");
	for (const [pattern, by] of replacements) {
		assert.match(text, pattern, file);
		text = text.replace(pattern, by);
	}
	return text;
}

export class Proxy {
	/** config(ports) gives the file's text; args(file): the command line. */
	static async start(command, config, args, nPorts = 1) {
		for (let attempt = 0; ; attempt++) {
			const proxy = new Proxy();
			proxy.ports = await Promise.all(Array.from({ length: nPorts }, freePort));
			proxy.address = `127.0.0.1:${proxy.ports[0]}`;
			const file = proxy.file = path.join(dir, `proxy-${++files}.conf`);
			fs.writeFileSync(file, config(proxy.ports));
			proxy.log = "";
			proxy.child = spawn(command, args(file), { cwd: dir, stdio: ["ignore", "pipe", "pipe"] });
			proxy.gone = new Promise((resolve) => proxy.child.once("close", (code, signal) => {
				proxy.ended = signal ?? code;
				resolve();
			}));
			for (const stream of [proxy.child.stdout, proxy.child.stderr])
				stream.on("data", (part) => { proxy.log += part; });
			const listens = (port) => new Promise((resolve) => {
				const probe = net.connect(port, "127.0.0.1", () => { probe.destroy(); resolve(true); });
				probe.on("error", () => resolve(false));
			});
			await until(async () => proxy.ended !== undefined || (await Promise.all(proxy.ports.map(listens))).every(Boolean),
			    () => `${command} listening: ${proxy.log}`);
			if (proxy.ended === undefined)
				return proxy;
			// Somebody else took a port meanwhile.
			if (attempt === 4 || !/in use|cannot bind/i.test(proxy.log))
				throw new Error(`${command}: ${proxy.ended}: ${proxy.log}`);
		}
	}

	async stop() {
		if (this.ended === undefined)
			this.child.kill("SIGTERM");
		await within(this.gone, "the proxy's end").catch((error) => { this.child.kill("SIGKILL"); throw error; });
	}

	/** A site in the rest of an nginx.conf. */
	static nginxSite(site) {
		const temp = fs.mkdtempSync(path.join(dir, "nginx-"));
		const main = (text) => `daemon off; worker_processes 1; pid ${temp}/pid; error_log stderr notice;
${process.getuid() === 0 ? "user root;" : ""}
events { worker_connections 500; }
http { access_log off;
${["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${temp}/${name};`).join("\n")}
${text}
}
`;
		return Proxy.start(nginx, ([port]) => main(site(port)), (file) => ["-c", file, "-p", temp, "-e", "stderr"]);
	}

	static certificate = [
		[/\/etc\/ssl\/ws\.example\.com\/fullchain\.pem/, chain],
		[/\/etc\/ssl\/ws\.example\.com\/privkey\.pem/, key],
	];

	/** contrib/nginx/peal.conf in front of these servers' addresses. */
	static nginx(addresses) {
		return Proxy.nginxSite((port) => settled("nginx/peal.conf", [
			[/server 127\.0\.0\.1:8080 (.*);/, addresses.map((a) => `server ${a} $1;`).join("\n\t")],
			[/listen 443 ssl http2;/, `listen 127.0.0.1:${port} ssl http2;`],
			...Proxy.certificate,
		]));
	}

	/** contrib/nginx/move.conf: clients go to reverb's addresses at first. */
	static nginxMove(reverb, peal) {
		return Proxy.nginxSite((port) => settled("nginx/move.conf", [
			[/server 10\.0\.0\.1:8080;/, reverb.map((a) => `server ${a};`).join("\n\t")],
			[/server 10\.0\.0\.11:8080;/, peal.map((a) => `server ${a};`).join("\n\t")],
			[/10% peal;/, ""],
			[/listen 443 ssl;/, `listen 127.0.0.1:${port} ssl;`],
			...Proxy.certificate,
		]));
	}

	/** nginx's file is changed (the pattern must be there) and read again; old
	 * connections stay where they are. */
	async changed(pattern, by) {
		const text = fs.readFileSync(this.file, "utf8");
		assert.match(text, pattern);
		fs.writeFileSync(this.file, text.replace(pattern, by));
		const from = this.log.length;
		this.child.kill("SIGHUP");
		await until(() => /gracefully shutting down/.test(this.log.slice(from)), () => `the change: ${this.log}`);
	}

	/** The servers of a section, in place of a and b. */
	static servers = (addresses) => [/\tserver a \S+\n\tserver b \S+\n/,
		addresses.map((a, i) => `\tserver s${i} ${a}\n`).join("")];

	/** The same where another section asks whether they live. */
	static tracking = (addresses) => [/\tserver a \S+ track peal\/a\n\tserver b \S+ track peal\/b\n/,
		addresses.map((a, i) => `\tserver s${i} ${a} track peal/s${i}\n`).join("")];

	/** contrib/haproxy/haproxy.cfg. */
	static haproxy(addresses) {
		return Proxy.start(haproxy, ([port]) => settled("haproxy/haproxy.cfg", [
			[/bind :443 ssl crt \S+/, `bind 127.0.0.1:${port} ssl crt ${both}`],
			[/maxconn 20000/, "maxconn 200"],
			Proxy.servers(addresses), Proxy.tracking(addresses),
		]), (file) => ["-db", "-f", file]);
	}

	/** contrib/haproxy/haproxy-tcp.cfg; through: addresses that speak TLS. */
	static haproxyTcp(addresses, through, version) {
		return Proxy.start(haproxy, (ports) => settled("haproxy/haproxy-tcp.cfg", [
			[/bind :443 ssl crt \S+/, `bind 127.0.0.1:${ports[0]} ssl crt ${both}`],
			[/bind :8443/, `bind 127.0.0.1:${ports[1]}`],
			[/maxconn 20000/, "maxconn 200"],
			Proxy.servers(addresses), Proxy.servers(through),
			[/send-proxy-v2/, version],
		]), (file) => ["-db", "-f", file], 2);
	}
}
