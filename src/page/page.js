// SPDX-License-Identifier: MIT
//
// The live page: login, which view is seen, and the views that reports fill.
import { loadCharts, Plot } from "./draw.js";
import { Link } from "./link.js";
import { clock, count, date, duration, latency, Meter, octets, ofApp, rate, words } from "./numbers.js";
import { $, Channels, Connections, el, Events, Hosts, mood, put, Table } from "./views.js";

const KEY = "peal-token";
const meter = new Meter();
const address = new URL("ws", location.origin + location.pathname);
address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
const link = new Link(address.href);

// ---- where we are -------------------------------------------------------------

const asking = {
	channels: new Channels(link),
	events: new Events(link),
	connections: new Connections(link),
	hosts: new Hosts(link),
};
const NAMES = ["overview", "channels", "events", "connections", "hosts", "webhooks", "reloads"];
let seen = null, entered = "", focus = false;

/** The address says which view, and of what: #events?channel=news&app=1001. */
function show() {
	const inside = link.greeting !== null && link.state !== "out";
	const [wanted, what] = location.hash.slice(1).split("?", 2);
	const name = inside ? (NAMES.includes(wanted) ? wanted : "overview") : null;
	$("login").hidden = inside || link.state !== "out";
	$("nav").hidden = $("logout").hidden = !inside;
	if (name === seen && location.hash === entered)
		return;
	if (name !== seen)
		asking[seen]?.leave();
	for (const n of NAMES)
		$(`view-${n}`).hidden = n !== name;
	for (const a of $("nav").querySelectorAll("a")) {
		if (a.hash === `#${name}`)
			a.setAttribute("aria-current", "page"), a.scrollIntoView({ block: "nearest", inline: "nearest" });
		else
			a.removeAttribute("aria-current");
	}
	seen = name;
	entered = location.hash;
	if (!name)
		return;
	asking[name]?.enter(Object.fromEntries(new URLSearchParams(what)));
	if (focus)
		$(`${name}-h`).focus();
	focus = true;
	draw();
}

addEventListener("hashchange", () => {
	if (location.hash !== "#main")
		show();
	else
		history.replaceState(null, "", entered || "#");
});
document.querySelector(".skip").onclick = (e) => { e.preventDefault(); $("main").focus(); };

// ---- login -------------------------------------------------------------------

const remembered = {
	get: () => { try { return sessionStorage.getItem(KEY); } catch { return null; } },
	set: (token) => { try { token ? sessionStorage.setItem(KEY, token) : sessionStorage.removeItem(KEY); } catch { /* no store */ } },
};

$("login-form").onsubmit = (e) => {
	e.preventDefault();
	put($("login-why"), "");
	focus = true;
	remembered.set($("token").value);
	link.login($("token").value);
};
$("logout").onclick = () => link.logout();

const STATES = { in: "Live", connecting: "Connecting …", lost: "Reconnecting …", out: "Logged out" };

/** Shows and hides what belongs to a state. */
function onState() {
	$("state").dataset.state = link.state;
	put($("state"), STATES[link.state]);
	if (link.state === "out") {
		remembered.set(null);
		link.greeting = null;
		meter.forget();
		put($("host"), "");
		$("token").value = "";
		put($("login-why"), link.why);
	}
	if (link.state === "in")
		greeted(link.greeting);
	banner(link.state === "lost" ? `${link.why} What is shown is what was last known.` : "");
	show();
	if (link.state === "out")
		$("token").focus();
}

function banner(value) {
	put($("banner"), value);
	$("banner").hidden = !value;
}

function greeted(greeting) {
	document.body.classList.toggle("no-actions", !greeting.actions);
	put($("about"), `Peal ${greeting.version}, shown by worker ${greeting.worker}`);
	if (greeting.charts)
		loadCharts();
	for (const select of document.querySelectorAll("select.apps")) {
		const was = select.value;
		select.replaceChildren(...(greeting.apps ?? []).map((a) =>
			el("option", { value: a.id, textContent: a.label && a.label !== a.id ? `${a.label} (${a.id})` : a.id })));
		if ((greeting.apps ?? []).some((a) => a.id === was))
			select.value = was;
	}
}

link.addEventListener("state", onState);
addEventListener("online", () => link.hurry());
document.addEventListener("visibilitychange", () => document.hidden || link.hurry());

// ---- overview ------------------------------------------------------------------

const plots = {
	messages: new Plot($("plot-messages"), rate),
	publish: new Plot($("plot-publish"), latency),
	connections: new Plot($("plot-connections"), count),
	out: new Plot($("plot-out"), rate),
};
$("by").onchange = () => draw();

/** [name, number, small print] each. */
function tiles(id, all) {
	const dl = $(id);
	while (dl.children.length > all.length)
		dl.lastChild.remove();
	all.forEach(([name, big, small], i) => {
		const tile = dl.children[i] ?? dl.appendChild(el("div", {}, el("dt"),
		    el("dd", { className: "big" }), el("dd", { className: "small" })));
		put(tile.children[0], name);
		put(tile.children[1], big);
		put(tile.children[2], small);
	});
}

/** Of all processes, as far as they say it. */
function memory(report) {
	const all = [...(report.workers ?? []), report.router, report.courier].filter(Boolean);
	const sum = all.reduce((n, p) => n + (p.counters?.memory ?? p.memory ?? 0), 0);
	return sum > 0 ? octets(sum) : null;
}

function drawTiles(report, s) {
	const t = report.totals ?? {};
	const used = memory(report);
	tiles("tiles", [
		["Connections", count(t.connections), `${count(t.subscriptions)} subscriptions`],
		["Messages in", `${rate(s?.in)}/s`, `${octets(s?.bytesIn)}/s`],
		["Messages out", `${rate(s?.out)}/s`, `${octets(s?.bytesOut)}/s`],
		["Published", `${rate(s?.published)}/s`, `${count(t.published)} in all`],
		["Publish, median", latency(s?.publish[0]), `p95 ${latency(s?.publish[1])} · p99 ${latency(s?.publish[2])}`],
		["Fan-out, median", latency(s?.fanout[0]), `p95 ${latency(s?.fanout[1])} · p99 ${latency(s?.fanout[2])}`],
		["Waiting for clients", octets(t.backlog), `${count(t.slow_readers)} slow readers cut off`],
		used ? ["Memory", used, "of all processes"] : ["Up for", duration(report.uptime), `${count(t.accepted)} connections in all`],
	]);
}

const WORKERS = [
	{ head: "Process", kind: "nw", header: true, cell: (p) => p.name },
	{ head: "State", cell: (p) => [p.crew && p.crew !== "in force" ? p.crew : p.state ?? "?",
		p.state === "up" && (!p.crew || p.crew === "in force") ? "good" : "warn"] },
	{ head: "Connections", kind: "n", cell: (p) => (p.slot ? count(p.counters?.connections) : "") },
	{ head: "In/s", kind: "n", cell: (p) => (p.slot ? rate(p.rates?.in) : "") },
	{ head: "Out/s", kind: "n", cell: (p) => (p.slot ? rate(p.rates?.out) : "") },
	{ head: "Waiting", kind: "n", cell: (p) => (p.slot ? octets(p.counters?.backlog) : "") },
	{ head: "Memory", kind: "n", cell: (p) => (p.counters?.memory ? octets(p.counters.memory) : "") },
	{ head: "Up for", kind: "n", cell: (p) => duration(p.uptime) },
	{ head: "Pid", kind: "n", cell: (p) => p.pid ?? "" },
];
const workers = new Table("workers", WORKERS, { key: (p) => `${p.name} ${p.pid}`, empty: "Nothing is known yet.", caption: "Processes" });

function drawWorkers(report, s) {
	const all = (report.workers ?? []).map((w) => ({ ...w, name: `worker ${w.slot}`, rates: s?.workers.get(w.slot) }));
	for (const name of ["router", "courier"])
		if (report[name])
			all.push({ ...report[name], slot: 0, name });
	workers.update(all);
}

const apps = new Table("apps", [
	{ head: "Application", kind: "nw", header: true, cell: (a) => a.label || a.app },
	{ head: "Connections", kind: "n", cell: (a) => count(a.sum.connections) },
	{ head: "In/s", kind: "n", cell: (a) => rate(a.rates?.in) },
	{ head: "Out/s", kind: "n", cell: (a) => rate(a.rates?.out) },
	{ head: "Published/s", kind: "n", cell: (a) => rate(a.rates?.published) },
	{ head: "By door", kind: "nw", cell: (a) => Object.entries(a.fronts ?? {}).filter(([, f]) => f.connections > 0)
	    .map(([name, f]) => `${name} ${count(f.connections)}`).join(", ") },
], { key: (a) => a.app, empty: "No application has been used yet.", caption: "Applications" });

const closes = new Table("closes", [
	{ head: "Reason", header: true, cell: (c) => words(c.name) },
	{ head: "While this page looked", kind: "n", cell: (c) => count(c.grown) },
	{ head: "In all", kind: "n", cell: (c) => count(c.n) },
], { key: (c) => c.name, empty: "None yet.", caption: "Reasons for closing" });

function drawTables(report, s) {
	drawWorkers(report, s);
	apps.update((report.apps ?? []).map((a) => ({ ...a, sum: ofApp(a), rates: s?.apps.get(a.app) })));
	closes.update(Object.entries(report.closes ?? {}).filter(([, n]) => n > 0)
	    .map(([name, n]) => ({ name, n, grown: meter.grown("closes", name) })).sort((a, b) => b.n - a.n));
}

/** A line for each worker or application there was; the largest eight. */
function lines(group, value) {
	const keys = new Map();
	for (const s of meter.samples)
		for (const [key, part] of s[group])
			keys.set(key, part);
	return [...keys].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, part]) => ({
		key: `${group} ${key}`, name: group === "workers" ? `worker ${key}` : part.label,
		values: meter.samples.map((s) => (s[group].has(key) ? s[group].get(key)[value] : NaN)), now: part[value],
	})).sort((a, b) => (group === "workers" ? 0 : b.now - a.now)).slice(0, 8);
}

function drawPlots() {
	const samples = meter.samples, times = samples.map((s) => s.t);
	const line = (name, value) => ({ key: name, name, values: samples.map(value) });
	const by = { app: "apps", worker: "workers" }[document.querySelector("[name=by]:checked").value];
	plots.messages.set(times, [line("published", (s) => s.published), line("from clients", (s) => s.in)]);
	plots.publish.set(times, [line("median", (s) => s.publish[0]), line("p95", (s) => s.publish[1]), line("p99", (s) => s.publish[2])]);
	plots.connections.set(times, by ? lines(by, "connections") : [line("all", (s) => s.connections)]);
	plots.out.set(times, by ? lines(by, "out") : [line("all", (s) => s.out)]);
}

// ---- webhooks and reloads ---------------------------------------------------------

const hooks = new Table("hooks", [
	{ head: "Target", kind: "nw", header: true, cell: (h) => h.target },
	{ head: "State", cell: (h) => mood(h.state) },
	{ head: "Address", kind: "mono name", cell: (h) => h.url },
	{ head: "Waiting", kind: "n", cell: (h) => count(h.queued) },
	{ head: "Delivered", kind: "n", cell: (h) => count(h.delivered) },
	{ head: "Failed requests", kind: "n", cell: (h) => count(h.refused) },
	{ head: "Lost", kind: "n", cell: (h) => count((h.dropped ?? 0) + (h.expired ?? 0)) },
	{ head: "Last answer", cell: (h) => [h.last_status || "", h.last_error].filter(Boolean).join(" ") },
	{ head: "Last delivery", kind: "n", cell: (h) => date(h.last_ok) },
	{ head: "Next try", kind: "n", cell: (h) => (h.next_try > 0 ? clock(h.next_try) : "") },
], { key: (h) => h.target, empty: "No webhooks are set up.", caption: "Webhook targets" });

function drawHooks(report) {
	const t = report.totals ?? {};
	tiles("hooks-tiles", [
		["Events waiting", count(t.hooks_waiting), octets(t.hooks_octets)],
		["Delivered", count(t.hooks_delivered), `${count(t.hooks_requests)} requests`],
		["Failed requests", count(t.hooks_refused), "tried again"],
		["Lost", count((t.hooks_dropped ?? 0) + (t.hooks_expired ?? 0)), `${count(t.hooks_dropped)} dropped, ${count(t.hooks_expired)} too old`],
	]);
	hooks.update(report.hooks ?? []);
}

const reloads = new Table("reloads", [
	{ head: "When", kind: "nw", header: true, cell: (r) => date(r.time) },
	{ head: "Outcome", cell: (r) => (r.ok ? ["in force", "good"] : ["refused", "bad"]) },
	{ head: "What", kind: "nw", cell: (r) => (r.kind === "processes" ? "processes replaced" : r.kind === "live" ? "settings pushed" : words(r.kind ?? "")) },
	{ head: "Changed", cell: (r) => r.changed ?? "" },
	{ head: "Why not", cell: (r) => r.why ?? "" },
	{ head: "Took", kind: "n", cell: (r) => (Number.isFinite(r.took_ms) ? `${count(r.took_ms)} ms` : "") },
], { key: (r) => r.time, empty: "None since the service was started.", caption: "Reloads, the newest first" });

// ---- a report ----------------------------------------------------------------------

function draw() {
	const report = meter.last, s = meter.samples.at(-1);
	if (!report || document.hidden)
		return;
	if (seen === "overview") {
		drawTiles(report, s);
		drawTables(report, s);
		drawPlots();
	} else if (seen === "webhooks") {
		drawHooks(report);
	} else if (seen === "reloads") {
		reloads.update([...(report.reloads ?? [])].reverse());
	}
}

link.addEventListener("report", ({ detail }) => {
	meter.add(detail);
	put($("host"), detail.host ?? "");
	document.title = detail.host ? `Peal · ${detail.host}` : "Peal";
	banner(detail.draining ? "The server is being stopped: clients are told to go." :
	    detail.router && detail.router.state !== "up" ? "The router restarts; messages wait for it." : "");
	draw();
});
document.addEventListener("visibilitychange", draw);

if (remembered.get())
	link.login(remembered.get(), true);
else
	onState();
