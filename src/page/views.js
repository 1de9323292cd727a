// SPDX-License-Identifier: MIT
//
// What views are built of, and the views that ask the router: channels, events,
// connections, hosts.  Whatever comes from the server is set as text, never as
// markup.
import { clock, count, duration, octets, words } from "./numbers.js";

export const $ = (id) => document.getElementById(id);
const text = (value) => (typeof value === "string" ? value : value === undefined || value === null ? "" : JSON.stringify(value));

/** An element with properties and children; strings become text. */
export function el(tag, properties = {}, ...children) {
	const e = Object.assign(document.createElement(tag), properties);
	e.append(...children);
	return e;
}

/** Only what has changed is touched: nothing flickers, nothing is read aloud again. */
export function put(node, value) {
	value = text(value);
	if (node.textContent !== value)
		node.textContent = value;
}

/** A line below a form that says how it went. */
export function say(id, value, wrong = false) {
	put($(id), value);
	$(id).classList.toggle("wrong", Boolean(wrong));
}

/**
 * A table whose rows keep their place and their focus while their cells change.
 * columns: [{ head, cell(row), kind, make(row) }]; cell gives text, or [text,
 * class of a tag]; make gives an element that is made once and reads tr.row.
 */
export class Table {
	#trs = new Map();

	constructor(id, columns, { key, empty, caption }) {
		this.table = $(id);
		this.columns = columns;
		this.key = key;
		const head = el("tr", {}, ...columns.map((c) => el("th", { scope: "col", className: c.kind ?? "", textContent: c.head })));
		this.body = el("tbody");
		this.table.append(el("caption", { className: "skip", textContent: caption }), el("thead", {}, head), this.body);
		this.none = el("tr", {}, el("td", { className: "none", colSpan: columns.length, textContent: empty }));
		this.update([]);
	}

	update(rows) {
		const left = new Set(this.#trs.keys());
		let at = this.body.firstChild;
		if (rows.length)
			this.none.remove();
		else
			this.body.append(this.none);
		for (const row of rows) {
			const key = String(this.key(row));
			if (!left.delete(key) && this.#trs.has(key))
				continue;	// twice the same
			const tr = this.#trs.get(key) ?? this.#make(key, row);
			tr.row = row;
			this.#fill(tr, row);
			if (tr === at)
				at = at.nextSibling;
			else
				this.body.insertBefore(tr, at === this.none ? null : at);
		}
		for (const key of left) {
			this.#trs.get(key).remove();
			this.#trs.delete(key);
		}
	}

	#make(key, row) {
		const tr = el("tr");
		tr.row = row;
		for (const c of this.columns) {
			const cell = el(c.header ? "th" : "td", { className: c.kind ?? "" });
			if (c.header)
				cell.scope = "row";
			if (c.make)
				cell.append(c.make(tr));
			tr.append(cell);
		}
		this.#trs.set(key, tr);
		return tr;
	}

	#fill(tr, row) {
		this.columns.forEach((c, i) => {
			if (!c.cell)
				return;
			const cell = tr.cells[i], value = c.cell(row);
			if (!Array.isArray(value)) {
				put(c.make ? cell.firstChild : cell, value);
				return;
			}
			const tag = cell.firstChild ?? cell.appendChild(el("span"));
			tag.className = `tag ${value[1]}`;
			put(tag, value[0]);
		});
	}
}

/** <dl>: pairs that stay where they are. */
export function facts(id, pairs) {
	const dl = $(id);
	while (dl.children.length > pairs.length)
		dl.lastChild.remove();
	pairs.forEach(([name, value], i) => {
		const row = dl.children[i] ?? dl.appendChild(el("div", {}, el("dt"), el("dd")));
		put(row.children[0], name);
		put(row.children[1], value);
	});
}

/** In a list of applications; one that is not there leaves it as it is. */
function select(id, value) {
	if ([...$(id).options].some((o) => o.value === value))
		$(id).value = value;
}

/** Asks before something is closed. */
export function sure(question, yes) {
	const dialog = $("sure");
	put($("sure-text"), question);
	put($("sure-yes"), yes);
	dialog.returnValue = "no";
	dialog.showModal();
	return new Promise((resolve) => {
		// That of the last question may be told when this one is open.
		dialog.onclose = () => dialog.open || resolve(dialog.returnValue === "yes");
	});
}

/** Calls fn now and each while a view is seen, never two at a time. */
function repeat(ms, fn) {
	let timer = 0, on = false, round = 0;
	const turn = async (mine) => {
		clearTimeout(timer);
		if (!document.hidden)
			await fn(() => on && mine === round);
		if (on && mine === round)
			timer = setTimeout(turn, ms, mine);
	};
	return {
		start() { on = true; turn(++round); },
		stop() { on = false; clearTimeout(timer); },
	};
}

const SHOWN = 200;

// ---- channels -------------------------------------------------------------------

export class Channels {
	#chosen = null;

	constructor(link) {
		this.link = link;
		this.table = new Table("channels", [
			{ head: "Channel", kind: "name", header: true, cell: (r) => r.channel, make: (tr) => el("button", {
				type: "button", className: "link", onclick: () => this.choose(tr.row.channel) }) },
			{ head: "Subscriptions", kind: "n", cell: (r) => count(r.subscriptions) },
			{ head: "Members", kind: "n", cell: (r) => (String(r.channel).startsWith("presence-") ? count(r.users) : "") },
		], { key: (r) => r.channel, empty: "No channel has a subscriber.", caption: "Channels with subscribers" });
		this.members = new Table("members", [
			{ head: "User", kind: "name mono", header: true, cell: (r) => r.id },
			{ head: "Info", kind: "mono", cell: (r) => text(r.member) },
		], { key: (r) => r.id, empty: "No members.", caption: "Members of the channel" });
		this.poll = repeat(2000, (still) => this.refresh(still));
		$("channels-form").onsubmit = (e) => { e.preventDefault(); this.poll.start(); };
		$("channels-match").oninput = () => this.poll.start();
		$("channels-app").onchange = () => { this.#lead(); this.poll.start(); };
		$("channel-close").onclick = () => this.choose(null);
	}

	enter() { this.poll.start(); }
	leave() { this.poll.stop(); }

	choose(name) {
		this.#chosen = name;
		$("channel").hidden = !name;
		put($("channel-h"), name ?? "");
		put($("channel-facts"), "");
		this.members.update([]);
		if (name) {
			this.#lead();
			$("channel").scrollIntoView({ block: "nearest" });
			$("channel-h").focus({ preventScroll: true });
			this.poll.start();
		}
	}

	/** Links that another tab understands, too. */
	#lead() {
		const what = new URLSearchParams({ channel: this.#chosen ?? "", app: $("channels-app").value });
		$("channel-tail").href = `#events?${what}`;
		$("channel-conns").href = `#connections?${what}`;
	}

	async refresh(still) {
		try {
			const { rows, last } = await this.link.rows({ verb: "channels", app: $("channels-app").value,
			    match: $("channels-match").value.trim(), limit: SHOWN });
			if (!still())
				return;
			rows.sort((a, b) => b.subscriptions - a.subscriptions || (a.channel < b.channel ? -1 : 1));
			this.table.update(rows.slice(0, SHOWN));
			const total = last.total ?? rows.length;
			say("channels-status", total > rows.length || rows.length > SHOWN ?
			    `${count(Math.min(rows.length, SHOWN))} of ${count(total)} channels are shown: search for others.` :
			    `${count(total)} ${total === 1 ? "channel" : "channels"}`);
			if (this.#chosen)
				await this.#detail(rows.find((r) => r.channel === this.#chosen), still);
		} catch (error) {
			if (still())
				say("channels-status", `No answer: ${error.message}`, true);
		}
	}

	async #detail(row, still) {
		const name = this.#chosen, presence = name.startsWith("presence-");
		$("members-box").hidden = !presence;
		put($("channel-facts"), row ? `${count(row.subscriptions)} subscriptions` : "");
		if (!presence)
			return;
		const { rows } = await this.link.rows({ verb: "users", app: $("channels-app").value, channel: name });
		if (!still() || name !== this.#chosen)
			return;
		put($("channel-facts"), row ? `${count(row.subscriptions)} subscriptions, ${count(rows.length)} members` : "");
		this.members.update(rows.slice(0, 1000));
	}
}

// ---- events ---------------------------------------------------------------------

const KINDS = { published: "published", client_event: "client event", occupied: "occupied", vacated: "vacated",
	member_added: "member added", member_removed: "member removed", opened: "opened", closed: "closed" };
const LINES = 500;	// kept of a tail

export class Events {
	#stop = null;
	#wanted = null;		// what is followed, also while the server is away
	#waiting = [];
	#lines = [];
	#seen = 0;
	#dropped = 0;
	#paused = false;
	#drawing = 0;
	#trouble = "";		// why it is not followed

	constructor(link) {
		this.link = link;
		for (const [kind, name] of Object.entries(KINDS))
			$("tail-kinds").append(el("label", {}, el("input", { type: "checkbox", value: kind, checked: true }), ` ${name}`));
		$("tail-form").onsubmit = (e) => { e.preventDefault(); this.#stop || this.#wanted ? this.stop() : this.start(); };
		$("tail-pause").onclick = () => this.#pause(!this.#paused);
		$("tail-clear").onclick = () => this.clear();
		$("tail-filter").oninput = () => this.#filter();
		$("publish-form").onsubmit = (e) => { e.preventDefault(); this.publish(); };
		link.addEventListener("state", () => this.#wanted && link.state === "in" && this.#follow());
	}

	enter({ channel, app }) {
		if (!channel)
			return;
		$("tail-channel").value = $("publish-channel").value = channel;
		select("tail-app", app);
		select("publish-app", app);
		// What is followed already goes on.
		if (this.#wanted?.channel !== channel || this.#wanted.app !== $("tail-app").value)
			this.start();
	}
	leave() {}

	start() {
		const kinds = [...$("tail-kinds").querySelectorAll("input:checked")].map((i) => i.value);
		const channel = $("tail-channel").value.trim();
		this.stop();
		this.#trouble = "";
		this.#wanted = { verb: "tail", app: $("tail-app").value, data: 2000, kinds, ...(channel ? { channel } : {}) };
		this.#follow();
	}

	#follow() {
		this.#stop?.();
		this.#stop = this.link.ask(this.#wanted, {
			rows: (rows) => this.#heard(rows),
			end: (last) => this.#ended(last),
		});
		this.#trouble = "";
		$("tail-start").textContent = "Stop";
		$("tail-start").classList.remove("primary");
		$("tail-pause").disabled = false;
		this.#count();
	}

	/** If the router was replaced or lost: again, as soon as there is one. */
	#ended(last) {
		this.#stop = null;
		if (!this.#wanted || last.ok)
			return this.stop();
		const again = last.lost || /router/.test(last.error);
		this.#trouble = again ? "The router restarts; then events follow again." : `Not followed: ${last.error}`;
		if (!again)
			return this.stop();
		this.#count();
		if (this.link.state === "in")
			setTimeout(() => this.#wanted && !this.#stop && this.link.state === "in" && this.#follow(), 500);
	}

	stop() {
		this.#wanted = null;
		this.#stop?.();
		this.#stop = null;
		$("tail-start").textContent = "Follow";
		$("tail-start").classList.add("primary");
		$("tail-pause").disabled = true;
		this.#pause(false);
	}

	clear() {
		this.#waiting = [];
		this.#lines = [];
		this.#seen = this.#dropped = 0;
		this.#trouble = "";
		$("tail").replaceChildren();
		this.#count();
	}

	#pause(on) {
		this.#paused = on;
		$("tail-pause").setAttribute("aria-pressed", String(on));
		$("tail-pause").textContent = on ? "Go on" : "Pause";
		if (!on)
			this.#draw();
		this.#count();
	}

	#heard(rows) {
		for (const row of rows) {
			if (Number.isFinite(row.dropped))
				this.#dropped += row.dropped;
			else
				this.#seen++;
			this.#waiting.push(row);
		}
		// Of a flood the newest are what anybody can read.
		if (this.#waiting.length > LINES)
			this.#waiting.splice(0, this.#waiting.length - LINES);
		if (!this.#paused && !this.#drawing)
			this.#drawing = setTimeout(() => this.#draw(), 100);
	}

	#draw() {
		this.#drawing = 0;
		if (this.#paused || !this.#waiting.length)
			return;
		const log = $("tail"), fresh = this.#waiting.map((row) => this.#line(row)).reverse();
		const top = log.scrollTop, height = log.scrollHeight;
		this.#waiting = [];
		log.prepend(...fresh);
		this.#lines.unshift(...fresh);
		for (const li of this.#lines.splice(LINES))
			li.remove();
		// Who has scrolled down goes on reading where they are.
		if (top > 0)
			log.scrollTop = top + log.scrollHeight - height;
		this.#count();
	}

	#line(row) {
		if (Number.isFinite(row.dropped))
			return el("li", { className: "dropped", textContent: `${count(row.dropped)} more were left out here` });
		const what = el("span", { className: "what" }, el("b", { textContent: text(row.channel) }));
		for (const part of [row.event, row.user && `user ${text(row.user)}`, row.socket_id])
			if (part)
				what.append(" · ", text(part));
		const li = el("li", {}, el("time", { textContent: clock(row.time, true) }),
		    el("span", {}, el("span", { className: "tag", textContent: KINDS[row.kind] ?? words(text(row.kind)) })), what);
		if (row.data !== undefined && row.data !== null)
			li.append(el("span", { className: "data", textContent: unwrap(row.data) +
			    (row.length ? ` … of ${count(row.length)} octets` : "") }));
		li.hidden = !matches(li);
		return li;
	}

	#filter() {
		for (const li of this.#lines)
			li.hidden = !matches(li);
	}

	/** The number is no part of what is read aloud: it changes all the time. */
	#count() {
		const dropped = this.#dropped ? `, ${count(this.#dropped)} left out` : "";
		say("tail-status", this.#trouble || (this.#wanted ? (this.#paused ? "Paused." : "Following.") :
		    this.#seen ? "Stopped." : "Nothing is followed."), this.#trouble && !this.#wanted);
		put($("tail-count"), this.#seen || dropped ? `${count(this.#seen)} ${this.#seen === 1 ? "event" : "events"}${dropped}` : "");
	}

	async publish() {
		const line = { verb: "publish", app: $("publish-app").value, channel: $("publish-channel").value,
			event: $("publish-event").value, data: $("publish-data").value };
		try {
			await this.link.rows(line);
			say("publish-status", `Published to ${line.channel} at ${clock(Date.now())}`);
		} catch (error) {
			say("publish-status", `Not published: ${error.message}`, true);
		}
	}
}

/** Data is JSON in a string, mostly: the text of it, as it was cut. */
function unwrap(data) {
	if (typeof data !== "string")
		return text(data);
	try {
		const inner = JSON.parse(data);
		return typeof inner === "string" ? inner : data;
	} catch {
		return data;
	}
}

function matches(li) {
	const filter = $("tail-filter").value.trim().toLowerCase();
	return !filter || li.textContent.toLowerCase().includes(filter);
}

// ---- connections -----------------------------------------------------------------

export class Connections {
	constructor(link) {
		this.link = link;
		this.table = new Table("conns", [
			{ head: "Socket id", kind: "nw mono", header: true, cell: (r) => r.socket_id },
			{ head: "User", kind: "mono", cell: (r) => r.user ?? "" },
			{ head: "By", kind: "nw", cell: (r) => r.front },
			{ head: "Address", kind: "mono", cell: (r) => r.address },
			{ head: "Worker", kind: "n", cell: (r) => r.worker },
			{ head: "Channels", kind: "n", cell: (r) => count(r.channels) },
			{ head: "Waiting", kind: "n", cell: (r) => octets(r.backlog) },
			{ head: "Open for", kind: "n", cell: (r) => duration(r.age) },
			{ head: "Silent for", kind: "n", cell: (r) => duration(r.idle) },
			{ head: "", kind: "acts", make: (tr) => el("button", { type: "button", textContent: "Close",
				onclick: () => this.kick(tr.row) }) },
		], { key: (r) => r.socket_id, empty: "Nothing to show.", caption: "Open connections" });
		this.poll = repeat(3000, (still) => this.refresh(still));
		$("conns-form").onsubmit = (e) => { e.preventDefault(); this.poll.start(); };
		$("conns-slow").onchange = $("conns-app").onchange = () => this.poll.start();
		$("conns-user").oninput = () => say("conns-done", "");
		$("terminate").onclick = () => this.terminate();
	}

	enter({ channel, app }) {
		if (channel) {
			$("conns-channel").value = channel;
			$("conns-user").value = $("conns-socket").value = "";
			select("conns-app", app);
		}
		this.poll.start();
	}
	leave() {
		this.poll.stop();
		say("conns-done", "");
	}

	async refresh(still) {
		const line = { verb: "inspect", app: $("conns-app").value, slow: $("conns-slow").checked, limit: SHOWN };
		for (const key of ["channel", "user", "socket"])
			if ($(`conns-${key}`).value.trim())
				line[key] = $(`conns-${key}`).value.trim();
		try {
			const { rows, last } = await this.link.rows(line);
			if (!still())
				return;
			for (const tr of this.table.body.rows)
				tr.title = "";
			this.table.update(rows);
			for (const tr of this.table.body.rows)
				tr.title = tr.row?.names?.length ? tr.row.names.join("\n") : "";
			const total = last.total ?? rows.length;
			const missing = last.missing?.length ? `; worker ${last.missing.join(", ")} did not answer` : "";
			say("conns-status", (total > rows.length ? `${count(rows.length)} of ${count(total)} connections are shown` :
			    `${count(total)} ${total === 1 ? "connection" : "connections"}`) + missing);
		} catch (error) {
			if (still())
				say("conns-status", `No answer: ${error.message}`, true);
		}
	}

	/** How it went stays while the rows are asked for again. */
	async #act(line, done) {
		try {
			const { last } = await this.link.rows(line);
			say("conns-done", done(last) + (last.missing?.length ?
			    ` Worker ${last.missing.join(", ")} did not answer, and closes its own when it does.` : ""));
			this.poll.start();
		} catch (error) {
			say("conns-done", `That failed: ${error.message}`, true);
		}
	}

	async kick(row) {
		if (await sure(`Close the connection ${row.socket_id}?`, "Close it"))
			await this.#act({ verb: "kick", app: row.app, socket: row.socket_id },
			    (last) => (last.closed !== 0 ? "The connection is closed." : last.missing ? "It was not found." : "It was gone already."));
	}

	async terminate() {
		const user = $("conns-user").value.trim();
		if (!user) {
			say("conns-done", "Name a user first.", true);
			$("conns-user").focus();
		} else if (await sure(`Close all connections of the user ${user}, on all hosts?`, "Close them")) {
			await this.#act({ verb: "terminate", app: $("conns-app").value, user },
			    ({ closed = 0, elsewhere, missing }) => (!closed && elsewhere === undefined && !missing ? `There are no connections of ${user}.` :
			        `The connections of ${user} are being closed: ${count(closed)}${elsewhere === undefined ? "" :
			            ` here; the other hosts were told, where ${count(elsewhere)} signed in`}.`));
		}
	}
}

// ---- hosts ------------------------------------------------------------------------

const MOODS = { up: "good", ok: "good", alone: "", joining: "warn", degraded: "warn", failing: "warn", down: "bad", lost: "bad", open: "bad" };
export const mood = (state) => [words(state ?? "?"), MOODS[state] ?? ""];

export class Hosts {
	constructor(link) {
		this.link = link;
		this.table = new Table("hosts", [
			{ head: "Name", kind: "name", header: true, cell: (r) => (r.own ? `${r.name} (this one)` : r.name) },
			{ head: "Node", kind: "mono", cell: (r) => r.node },
			{ head: "State", cell: (r) => mood(r.state) },
			{ head: "Heard", kind: "n", cell: (r) => (r.own ? "" : `${count(r.heard)} s ago`) },
			{ head: "Rows", kind: "n", cell: (r) => count(r.rows) },
		], { key: (r) => r.node, empty: "No hosts are joined: this one is alone.", caption: "Hosts" });
		this.poll = repeat(2000, (still) => this.refresh(still));
	}

	enter() { this.poll.start(); }
	leave() { this.poll.stop(); }

	async refresh(still) {
		try {
			const { rows, last } = await this.link.rows({ verb: "backplane" });
			if (!still())
				return;
			this.table.update(rows);
			say("hosts-status", `${count(Math.max(rows.length, 1))} ${rows.length > 1 ? "hosts" : "host"}; the backplane is ${words(last.state)}.`);
			facts("backplane", [["Driver", last.driver], ["State", words(last.state)],
			    ...(last.driver === "none" ? [] : [["Broker", last.broker], ["For", duration(last.since)],
			        ["Round trip", last.lag_us ? `${(last.lag_us / 1000).toFixed(2)} ms` : "–"],
			        ["Topics", count(last.topics)], ["Waiting messages", count(last.backlog)],
			        ["Waiting octets", octets(last.backlog_octets)], ["In flight", count(last.in_flight)],
			        ...(last.failure ? [["Last failure", last.failure]] : [])]),
			    ...Object.entries(last.counters ?? {}).filter(([, n]) => n > 0)
			        .map(([name, n]) => [words(name).replace("backplane ", ""), count(n)])]);
		} catch (error) {
			if (still())
				say("hosts-status", `No answer: ${error.message}`, true);
		}
	}
}
