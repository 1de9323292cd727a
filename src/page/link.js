// SPDX-License-Identifier: MIT
//
// The page's WebSocket: login, reports, questions, and coming back after the
// server was away.  What is said is in front/page.h.
//
// Events: "state" (this.state: out, connecting, in, lost; this.why), "report"
// (event.detail).

const FIRST = 300, MOST = 10000;	// ms between two attempts
const SILENT = 20000;			// ms without a report: it is dead

export class Link extends EventTarget {
	state = "out";
	why = "";
	greeting = null;
	#url;
	#token = null;
	#known = false;			// the token has been taken before
	#socket = null;
	#asks = new Map();
	#next = 1;
	#pause = FIRST;
	#timer = 0;
	#watchdog = 0;

	constructor(url) {
		super();
		this.#url = url;
	}

	/** known: it was taken before, and is not given up because the server wants a pause. */
	login(token, known = false) {
		this.#token = token;
		this.#known = known;
		this.#pause = FIRST;
		this.#connect();
	}

	logout(why = "") {
		this.#token = null;
		this.#drop();
		this.#set("out", why);
	}

	/** Now, and not when the pause is over. */
	hurry() {
		if (this.state === "lost")
			this.#connect();
	}

	/**
	 * A verb of the router.  rows(list) is called for each part of the answer,
	 * end(last) once: { ok, error, ... }.  Gives a function that ends it.
	 */
	ask(line, { rows, end } = {}) {
		if (this.state !== "in") {
			queueMicrotask(() => end?.({ ok: false, error: "not connected" }));
			return () => {};
		}
		const id = this.#next++, socket = this.#socket;
		this.#asks.set(id, { rows, end });
		this.#send({ id, do: "ask", line });
		return () => {
			if (this.#asks.delete(id) && this.#socket === socket)
				this.#send({ id, do: "stop" });
		};
	}

	/** The same, whole: { rows, last }; throws what went wrong. */
	rows(line) {
		return new Promise((resolve, reject) => {
			const all = [];
			this.ask(line, {
				rows: (some) => all.push(...some),
				end: (last) => (last.ok ? resolve({ rows: all, last }) : reject(new Error(last.error ?? "no answer"))),
			});
		});
	}

	#set(state, why = "") {
		this.state = state;
		this.why = why;
		this.dispatchEvent(new Event("state"));
	}

	#send(what) {
		if (this.#socket?.readyState === WebSocket.OPEN)
			this.#socket.send(JSON.stringify(what));
	}

	#connect() {
		this.#drop();
		const socket = this.#socket = new WebSocket(this.#url);
		this.refusal = null;
		this.#set("connecting");
		socket.onopen = () => this.#send({ do: "login", token: this.#token });
		socket.onmessage = (m) => socket === this.#socket && this.#heard(JSON.parse(m.data));
		socket.onclose = (e) => socket === this.#socket && this.#closed(e);
		this.#alive();
	}

	/** Forgets the socket, and says so to all who wait. */
	#drop() {
		const socket = this.#socket, asks = [...this.#asks.values()];
		this.#socket = null;
		this.#asks.clear();
		clearTimeout(this.#timer);
		clearTimeout(this.#watchdog);
		socket?.close();
		for (const { end } of asks)
			end?.({ ok: false, error: "the connection was lost", lost: true });
	}

	#alive() {
		clearTimeout(this.#watchdog);
		this.#watchdog = setTimeout(() => this.#lost("The server is silent."), SILENT);
	}

	#heard(m) {
		this.#alive();
		if (this.state === "connecting") {
			if (!m.ok) {
				this.refusal = m;
				return;
			}
			this.greeting = m;
			this.#known = true;
			this.#pause = FIRST;
			this.#set("in");
			this.#send({ do: "watch" });
		} else if (m.report && !("id" in m)) {
			this.dispatchEvent(new CustomEvent("report", { detail: m.report }));
		} else if (m.rows) {
			this.#asks.get(m.id)?.rows?.(m.rows);
		} else if (m.end) {
			const ask = this.#asks.get(m.id);
			this.#asks.delete(m.id);
			ask?.end?.(m);
		}
	}

	#closed({ code }) {
		const refused = this.refusal;
		if (refused?.wait && this.#known)
			this.#lost(refused.error, refused.wait * 1000);
		else if (refused?.wait)
			this.logout(`${refused.error} Try again in ${refused.wait} s.`);
		else if (code === 1008 && this.state === "connecting")
			this.logout(refused?.error ?? "The server refused the login.");
		else if (code === 1008)
			this.logout("The server has ended the session. Log in again.");
		else
			this.#lost(refused?.error ?? (code === 1012 ? "The server restarts." :
			    this.state === "connecting" ? "The server cannot be reached." : "The connection was lost."));
	}

	/** least: ms until the next attempt. */
	#lost(why, least = 0) {
		const pause = Math.max(this.#pause * (0.75 + Math.random() / 2), least * (1 + Math.random() / 4));
		this.#pause = Math.min(this.#pause * 2, MOST);
		this.#drop();
		this.#timer = setTimeout(() => this.#connect(), pause);
		this.#set("lost", why);
	}
}
