// SPDX-License-Identifier: MIT
//
// A stranger on our Redis who writes to our topics: whatever it is, it is
// counted and dropped, and nothing else happens.
import assert from "node:assert/strict";
import crypto from "node:crypto";
import { test } from "node:test";
import { unique, until } from "./harness.mjs";
import { backplane, counted, fleet, subscribed } from "./hosts.mjs";

const who = (user_id) => ({ user_id, user_info: {} });
const KEY = "k".repeat(40);

/** Listens to a topic beside the hosts; gives the envelopes it hears. */
async function spy(f, topic, act) {
	const talk = await f.redis.open();
	await talk.command("SUBSCRIBE", topic);
	await act();
	const found = await talk.message(([, name]) => name === topic, "an envelope");
	talk.close();
	return found[2];
}

/** Topics with this in their name. */
const topicOf = async (f, name) => until(async () =>
	(await f.redis.command("PUBSUB", "CHANNELS", `${f.fleet.prefix}*`)).find((t) => t.includes(name)), `topic ${name}`);

for (const signing of [false, true])
	fleet(`garbage, signing ${signing ? "on" : "off"}`, { hosts: 2, workers: [2, 1], app: { client_events: "all" },
	    backplane: { host_timeout: "1h", partition_timeout: "1h", ...(signing ? { signing: "yes", signing_key: KEY } : {}) } }, (f) => {
		const dropped = async () => {
			const b = await backplane(f.hosts[0]);
			return b.backplane_bad_envelope + b.backplane_bad_version + b.backplane_bad_kind +
			    b.backplane_bad_signature + b.backplane_bad_payload + b.backplane_oversize;
		};

		test("octets of all kinds on a channel's topic and on the hosts' own", async () => {
			f.fleet.allow();
			const room = unique("presence-garbage"), crowd = await f.fleet.crowd();
			for (const [i, c] of crowd.entries())
				await subscribed(c, room, who(`u${i}`));
			await f.fleet.agree(`/channels/${room}`, { info: "user_count" }, { occupied: true, user_count: 2 });
			const pids = f.hosts.map((h) => h.pids("peald: "));
			const topic = await topicOf(f, room);
			const all = await f.redis.command("PUBSUB", "CHANNELS", `${f.fleet.prefix}*`);
			const own = all.filter((t) => !t.includes("garbage"));
			assert.ok(own.length > 0, "the hosts' own topic");
			const good = await spy(f, topic, () => f.hosts[1].publish(room, "good", '{"a":1}'));
			const beat = await spy(f, own[0], async () => {});
			for (const c of crowd)
				await c.skipTo("good", room);
			const bad = [Buffer.alloc(0), Buffer.from("hello"), Buffer.from('{"type":"message"}'),
				Buffer.alloc(5000, 0x90), Buffer.alloc(100, 0xff), Buffer.from("dd7fffffff", "hex"), Buffer.from("c6ffffffff00", "hex")];
			for (const one of [good, beat]) {
				for (let n = 1; n < one.length; n += 1 + (one.length >> 5))
					bad.push(one.subarray(0, n));
				for (let i = 0; i < 150; i++) {
					const copy = Buffer.from(one);
					copy[i % copy.length] ^= 1 << (i * 7 % 8);
					if (signing)
						bad.push(copy);
				}
				bad.push(Buffer.concat([one, Buffer.from([0])]));
				bad.push(Buffer.concat([one.subarray(0, 1), Buffer.from([0x63]), one.subarray(2)]));	// version 99
			}
			for (let i = 0; i < 200; i++)
				bad.push(crypto.randomBytes(1 + i));
			const before = await dropped();
			for (const one of bad)
				for (const t of [topic, own[0]])
					await f.redis.command("PUBLISH", t, one);
			// A good envelope on the wrong topic, and once more on its own.
			await f.redis.command("PUBLISH", own[0], good);
			await f.redis.command("PUBLISH", topic, beat);
			await f.redis.command("PUBLISH", topic, good);
			await until(async () => await dropped() >= before + bad.length * 2 + 2,
			    async () => `${bad.length * 2 + 2} dropped: ${before} ${await dropped()} ${JSON.stringify(await backplane(f.hosts[0]))}`);
			const b = await backplane(f.hosts[0]);
			if (signing)
				assert.ok(b.backplane_bad_signature > 0);
			else
				assert.ok(b.backplane_bad_envelope > 0 && b.backplane_bad_version > 0, JSON.stringify(b));
			// Nothing else has happened.
			for (const host of f.hosts)
				await host.publish(room, "after", "1");
			for (const c of crowd) {
				await c.expect("after", room);
				await c.expect("after", room);
			}
			await f.hosts[0].silence(crowd, room);
			assert.deepEqual(f.hosts.map((h) => h.pids("peald: ")), pids);
			await f.fleet.agree(`/channels/${room}`, { info: "user_count" }, { occupied: true, user_count: 2 });
			for (const host of f.hosts) {
				assert.equal((await backplane(host)).hosts, 2);
				const lines = host.log.match(/dropped from the broker/g)?.length ?? 0;
				assert.ok(lines > 0 && lines < bad.length / 4, `logged once in a while: ${lines}`);
			}
		});

		test("more than backplane.max_message", async () => {
			const channel = unique(), c = await f.hosts[0].connect();
			await c.subscribe(channel);
			const topic = await topicOf(f, channel), before = (await backplane(f.hosts[0])).backplane_oversize;
			await f.redis.command("PUBLISH", topic, Buffer.alloc((16 << 20) + 100000, 0x41));
			await counted(f.hosts[0], "backplane_oversize", before + 1);
			await until(async () => {
				await f.hosts[1].publish(channel, "after", "1");
				return c.frames.some((one) => one.event === "after");
			}, "the host to hear again");
			await f.fleet.joined();
		});

		test("keys of ours overwritten by something else", async () => {
			const channel = unique("cache-forged");
			await f.hosts[0].publish(channel, "kept", "1");
			const keys = async () => (await f.redis.command("KEYS", `${f.fleet.prefix}*`)).filter((k) => k.includes(channel));
			for (const key of await keys())
				for (const act of [["SET", key, "garbage"], ["DEL", key], ["LPUSH", key, "a list"], ["DEL", key], ["SET", key, ""], ["SET", key, crypto.randomBytes(300)]])
					try {
						await f.redis.command(...act);
						const c = await f.hosts[1].connect();
						await c.subscribe(channel);
						assert.match((await c.next()).event, /cache_miss|kept/);
						await c.kill();
					} catch (error) {
						if (!/WRONGTYPE/.test(error.message))
							throw error;
					}
			for (const key of await keys())
				await f.redis.command("DEL", key);
			await f.hosts[1].publish(channel, "next", "2");
			const c = await f.hosts[0].connect();
			await c.subscribe(channel);
			await c.expect("next", channel);
		});
	});
