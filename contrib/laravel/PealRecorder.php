<?php
// SPDX-License-Identifier: MIT
//
// Feeds Reverb's two cards of Laravel Pulse from Peal: connections and messages.
// Copy it to app/Pulse/Recorders/PealRecorder.php; doc/LARAVEL, "Pulse", has the
// lines for config/pulse.php.
//
// Every 15 seconds, on one server (Pulse's isolated beat of `pulse:check`):
//
//   connections  GET /apps/ID/connections, signed by the library that broadcasts.
//                Peal answers for all hosts.
//   messages     differences of two counters of each host's /metrics,
//
//                    peal_messages_sent_total{app="ID",...}
//                    peal_messages_received_total{app="ID",...}
//
//                Pulse knows no "count these 5000": it counts entries.  So
//                sample_rate of ReverbMessages, by which the card multiplies,
//                says how many of the messages become one.
//
// What was read last lies in Pulse's cache, for whichever server comes next.  The
// first reading, and one after five minutes of silence, records nothing.  A counter
// that has become smaller belongs to a Peal that was started anew.
//
// A host that does not answer does not keep the others from being read; Pulse gets
// the first complaint (Pulse::handleExceptionsUsing).

declare(strict_types=1);

namespace App\Pulse\Recorders;

use Illuminate\Broadcasting\BroadcastManager;
use Illuminate\Contracts\Config\Repository;
use Illuminate\Http\Client\Factory;
use Laravel\Pulse\Events\IsolatedBeat;
use Laravel\Pulse\Pulse;
use Laravel\Pulse\Support\CacheStoreResolver;
use RuntimeException;
use Throwable;

class PealRecorder
{
    /** Seconds between two readings; Reverb's recorder has the same. */
    private const EVERY = 15;

    /** Seconds for which an earlier reading is good for a difference. */
    private const REMEMBERED = 300;

    /** Entries of one kind and application at a time: memory of pulse:check. */
    private const MOST = 5000;

    /** Seconds for an answer; pulse:check does nothing else meanwhile. */
    private const PATIENCE = 5;

    /** Where the card of messages has its settings. */
    private const CARD = 'Laravel\Reverb\Pulse\Recorders\ReverbMessages';

    public string $listen = IsolatedBeat::class;

    public function __construct(
        private readonly Pulse $pulse,
        private readonly Repository $config,
        private readonly BroadcastManager $broadcast,
        private readonly Factory $http,
        private readonly CacheStoreResolver $cache,
    ) {
    }

    public function record(IsolatedBeat $event): void
    {
        $at = $event->time->getTimestamp();
        if ($at % self::EVERY !== 0) {
            return;
        }
        $apps = $this->setting('apps') ?? $this->config->get('reverb.apps.apps') ?? [];
        $ids = array_map(fn (array $app) => (string) $app['app_id'], $apps);
        $tasks = [];
        foreach ($apps as $app) {
            $tasks[] = fn () => $this->recordConnections($app, $at);
        }
        foreach ((array) $this->setting('metrics') as $url) {
            $tasks[] = fn () => $this->recordMessages($url, $ids, $at);
        }
        $this->all($tasks);
    }

    /** Does all of them; then the first failure is heard. */
    private function all(array $tasks): void
    {
        $first = null;
        foreach ($tasks as $task) {
            try {
                $task();
            } catch (Throwable $failure) {
                $first ??= $failure;
            }
        }
        if ($first !== null) {
            throw $first;
        }
    }

    private function setting(string $name): mixed
    {
        return $this->config->get('pulse.recorders.'.static::class.'.'.$name);
    }

    private function recordConnections(array $app, int $at): void
    {
        $app['options'] = ($app['options'] ?? []) + ['timeout' => self::PATIENCE];
        $answer = $this->broadcast->pusher($app)->get('/connections');
        $this->pulse->record(
            type: 'reverb_connections',
            key: (string) $app['app_id'],
            value: (int) $answer->connections,
            timestamp: $at,
        )->avg()->max()->onlyBuckets();
    }

    private function recordMessages(string $url, array $ids, int $at): void
    {
        $key = 'peal:pulse:'.hash('sha256', $url);
        $store = $this->cache->store();
        $before = $store->get($key);
        $now = $this->counters($url, $ids);
        // Before anything is recorded: what is lost is less bad than what is
        // counted twice.
        $store->put($key, $now, self::REMEMBERED);
        if (! is_array($before)) {
            return;
        }
        $tasks = [];
        foreach ($now as $type => $counts) {
            foreach ($counts as $id => $n) {
                $was = $before[$type][$id] ?? 0;
                $tasks[] = fn () => $this->count($type, (string) $id, $was > $n ? 0 : $was, $n, $at);
            }
        }
        $this->all($tasks);
    }

    /** ['reverb_message:sent' => [ID => 17, ...], ...], all front doors together. */
    private function counters(string $url, array $ids): array
    {
        $request = $this->http->timeout(self::PATIENCE)->accept('text/plain');
        $token = $this->setting('token');
        if ($token !== null && $token !== '') {
            $request = $request->withToken($token);
        }
        $text = $request->get($url)->throw()->body();
        $nothing = array_fill_keys($ids, 0);
        $counters = ['reverb_message:sent' => $nothing, 'reverb_message:received' => $nothing];
        foreach (explode("\n", $text) as $line) {
            if (! preg_match('/^peal_messages_(sent|received)_total\{(.*)\} +([0-9.eE+]+)/', $line, $is)
                || ! preg_match('/(?:^|,)app="((?:[^"\\\\]|\\\\.)*)"/', $is[2], $label)) {
                continue;
            }
            $id = strtr($label[1], ['\\\\' => '\\', '\\"' => '"', '\\n' => "\n"]);
            if (isset($nothing[$id])) {
                $counters['reverb_message:'.$is[1]][$id] += (int) (float) $is[3];
            }
        }

        return $counters;
    }

    /**
     * From one reading of a counter to the next.  Multiplied before it is
     * subtracted: so no rest is ever lost.
     */
    private function count(string $type, string $id, int $from, int $to, int $at): void
    {
        $rate = (float) ($this->config->get('pulse.recorders.'.self::CARD.'.sample_rate') ?? 1);
        $n = (int) (floor($to * $rate) - floor($from * $rate));
        for ($i = 0; $i < min($n, self::MOST); $i++) {
            $this->pulse->record(type: $type, key: $id, timestamp: $at)->count()->onlyBuckets();
        }
        if ($n > self::MOST) {
            throw new RuntimeException(sprintf(
                'Peal: %d of %d entries of %s for application %s were left out: '
                .'set a smaller sample_rate of ReverbMessages (now %s) in config/pulse.php.',
                $n - self::MOST, $n, $type, $id, $rate));
        }
    }
}
