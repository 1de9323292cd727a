// SPDX-License-Identifier: MIT
//
// What something costs over how much there is of something else.
'use strict';
const { Group, clients } = require('./suite_clients.cjs');
const { sleep } = require('./suite_server.cjs');

const CLIENTS = 1000;	// that channels are spread over

const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];

// Microseconds of processor for each of n, by role.
async function cost(server, n, what) {
	const before = server.cpu();
	await what();
	const after = server.cpu();
	const each = {};
	for (const role of ['all', 'router', 'worker'])
		each[role] = (after[role] - before[role]) * 1e6 / n;
	return each;
}

async function costs(server, times, n, what) {
	const list = [];
	for (let i = 0; i < times; i++)
		list.push(await cost(server, n, what));
	const each = {};
	for (const role of Object.keys(list[0]))
		each[role] = Number(median(list.map((c) => c[role])).toFixed(2));
	return each;
}

// Messages of one client, each heard by one other, some of them together.
async function talk(from, group, n, window, channel) {
	for (let i = 0; i < n; i += window) {
		const goal = group.said + window;
		from.say(Array.from({ length: window }, channel), 'x'.repeat(40));
		await group.when(() => group.said >= goal);
	}
}

// Who comes and goes is the only one in a channel of its own.
async function come_and_go(server, n, round) {
	const list = await clients(server.port, n,
	    (i) => [`guest-${round}-${i}`]);
	await sleep(50);
	const each = await cost(server, n, async () => {
		await Promise.all(list.map((c) => c.leave()));
		await sleep(50);
	});
	return each.all;
}

async function measure(server, plan, from, group, window, channel) {
	await talk(from, group, 320, window, channel);
	const message = await costs(server, plan.times, plan.messages,
	    () => talk(from, group, plan.messages, window, channel));
	const leave = [];
	for (let i = 0; i < plan.times; i++)
		leave.push(await come_and_go(server, plan.guests, i));
	return { cpu_us_per_message: message,
		cpu_us_per_disconnect: Number(median(leave).toFixed(2)) };
}

// n others are connected and in one channel; two talk in theirs.
async function over_connections(server, n, plan) {
	const others = await clients(server.port, n, () => ['others']);
	const group = new Group();
	const two = await clients(server.port, 2,
	    (i) => i === 1 ? ['ours'] : [], group);
	const result = await measure(server, plan, two[0], group, 16,
	    () => 'ours');
	for (const c of [...two, ...others])
		c.socket.destroy();
	return result;
}

// n channels, each of one client; a message is for any of them.  One at a time:
// with few channels more would share a packet, with many they would not.
async function over_channels(server, n, plan) {
	const names = Array.from({ length: n }, (_, i) => `room-${i}`);
	const group = new Group();
	const [from] = await clients(server.port, 1, () => []);
	const before = server.memory();
	const each = Math.ceil(n / CLIENTS);
	const list = await clients(server.port, Math.ceil(n / each),
	    (i) => names.slice(i * each, (i + 1) * each), group, 10);
	const after = server.memory();
	let at = 0;
	const result = await measure(server, plan, from, group, 1, () => {
		at = (at + 7919) % n;
		return names[at];
	});
	for (const c of [from, ...list])
		c.socket.destroy();
	result.octets_per_channel = Math.round((after.all - before.all) / n);
	return result;
}

module.exports = { over_channels, over_connections };
