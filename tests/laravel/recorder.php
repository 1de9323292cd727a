<?php
// SPDX-License-Identifier: MIT
//
// php recorder.php JSON: contrib/laravel/PealRecorder.php against a running Peal.
// JSON: {app, port, metrics, token, connections, channel, subscribers, fake}: the
// application, where Peal listens, the URL of its metrics and their token, how many
// connections there are, the channel that so many of them hear; the URL of a server
// that answers with what is put to it.

declare(strict_types=1);

require __DIR__.'/stand_ins.php';
require __DIR__.'/../../contrib/laravel/PealRecorder.php';

use App\Pulse\Recorders\PealRecorder;
use Illuminate\Broadcasting\BroadcastManager;
use Illuminate\Http\Client\Factory;
use Laravel\Pulse\Events\IsolatedBeat;
use Laravel\Pulse\Pulse;
use Laravel\Pulse\Support\CacheStoreResolver;

$want = json_decode($argv[1]);
$options = ['host' => '127.0.0.1', 'port' => $want->port, 'scheme' => 'http', 'useTLS' => false];
$app = ['app_id' => $want->app->id, 'key' => $want->app->key, 'secret' => $want->app->secret, 'options' => $options];
$cacheFile = tempnam(sys_get_temp_dir(), 'peal-pulse-');
unlink($cacheFile);
register_shutdown_function(fn () => @unlink($cacheFile));

/** A recorder of its own, as another server that shares the cache would have. */
function recorder(Pulse $pulse, array $apps, array $settings, float $rate = 1): PealRecorder
{
    global $cacheFile;

    return new PealRecorder($pulse, new Settings([
        'reverb' => ['apps' => ['apps' => $apps]],
        'pulse' => ['recorders' => [
            PealRecorder::class => $settings,
            'Laravel\Reverb\Pulse\Recorders\ReverbMessages' => ['sample_rate' => $rate],
        ]],
    ]), new BroadcastManager, new Factory, new CacheStoreResolver(new FileCache($cacheFile)));
}

/** What a beat of the k-th quarter of a minute has recorded: TYPE|KEY|... => times. */
function beat(Pulse $pulse, PealRecorder $recorder, int $k, int $offset = 0): array
{
    $pulse->entries = [];
    $failure = null;
    try {
        $recorder->record(new IsolatedBeat(new DateTimeImmutable('@'.(1_800_000_000 + 15 * $k + $offset))));
    } catch (Throwable $failure) {
    }
    $seen = [];
    foreach ($pulse->entries as $e) {
        ok_quietly($e->timestamp === 1_800_000_000 + 15 * $k && $e->buckets);
        $name = implode('|', [$e->type, $e->key, implode(',', $e->aggregations), $e->value ?? '']);
        $seen[$name] = ($seen[$name] ?? 0) + 1;
    }
    ksort($seen);

    return [$seen, $failure === null ? '' : $failure->getMessage()];
}

function ok_quietly(bool $good): void
{
    if (! $good) {
        ok('an entry has the time of its beat, and only buckets', false);
    }
}

/** Both counters of the application as they stand in the metrics, read anew. */
function totals(object $want): array
{
    [, $text] = fetched('GET', $want->metrics, null, ["Authorization: Bearer {$want->token}"], 20);
    $sum = ['sent' => 0, 'received' => 0];
    preg_match_all('/^peal_messages_(sent|received)_total\{app="'.$want->app->id.'",.*\} (\d+)$/m', $text, $all, PREG_SET_ORDER);
    foreach ($all as [, $which, $n]) {
        $sum[$which] += (int) $n;
    }

    return $sum;
}

/** Asks until the numbers are there: a worker tells the master now and then. */
function until_totals(object $want, callable $enough): array
{
    for ($end = time() + 60; time() < $end; usleep(50_000)) {
        if ($enough($totals = totals($want))) {
            return $totals;
        }
    }
    throw new RuntimeException('the metrics never came to '.json_encode(totals($want)));
}

$id = $want->app->id;
$connections = "reverb_connections|$id|avg,max|{$want->connections}";
$real = ['metrics' => [$want->metrics], 'token' => $want->token];

// ---- connections, messages
$pulse = new Pulse;
$recorder = recorder($pulse, [$app], $real);
ok('recorders are told of the isolated beat', $recorder->listen === IsolatedBeat::class);
ok('only every 15 seconds', beat($pulse, $recorder, 0, 7) === [[], '']);
$start = totals($want);
ok('the first beat: connections; messages have no before', ($have = beat($pulse, $recorder, 1)) === [[$connections => 1], ''], $have);

$pusher = (new BroadcastManager)->pusher($app);
for ($i = 0; $i < 7; $i++) {
    $pusher->trigger($want->channel, 'App\Events\OrderShipped', ['n' => $i, 'text' => 'ä "quoted"']);
}
$now = until_totals($want, fn ($t) => $t['sent'] >= $start['sent'] + 7 * $want->subscribers);
$sent = $now['sent'] - $start['sent'];
ok('7 events to each subscriber are counted once each', $sent === 7 * $want->subscribers, $sent);
ok('the next beat has them', ($have = beat($pulse, recorder($pulse, [$app], $real), 2)) ===
    [[$connections => 1, "reverb_message:sent|$id|count|" => $sent], ''], $have);
ok('then nothing is new', ($have = beat($pulse, $recorder, 3)) === [[$connections => 1], ''], $have);

// ---- what is refused
[$seen, $why] = beat($pulse, recorder($pulse, [$app, ['secret' => 'wrong'] + $app, ['app_id' => 'two'] + $app], $real), 4);
ok('a wrong secret and a wrong id: the others are read all the same', $seen === [$connections => 1], $seen);
ok('and the complaint is what Peal said', str_contains($why, 'signature'), $why);
[$seen, $why] = beat($pulse, recorder($pulse, [$app], ['token' => 'not the token at all'] + $real), 5);
ok('a wrong token: connections are read all the same', $seen === [$connections => 1] && str_contains($why, '401'), [$seen, $why]);
[$seen, $why] = beat($pulse, recorder($pulse, [['options' => ['port' => 1] + $options] + $app], $real), 6);
ok('nobody there', $seen === [] && $why !== '', [$seen, $why]);
ok('no metrics named: connections alone', ($have = beat($pulse, recorder($pulse, [$app], []), 7)) === [[$connections => 1], ''], $have);

// ---- numbers as another Peal might tell them
$fake = fn (string $text) => fetched('PUT', $want->fake, $text, [], 20);
$messages = fn (int $sent, int $received) => "# TYPE peal_messages_sent_total counter\n"
    ."peal_messages_sent_total{app=\"$id\",front=\"pusher\"} $sent\n"
    ."peal_messages_sent_total{app=\"$id\",front=\"ro\\\"oms,app=\\\"no} 5 \"} 3\n"
    ."peal_messages_sent_total{app=\"somebody else\",front=\"pusher\"} 1000\n"
    ."peal_messages_sent_total{front=\"pusher\",app=\"a\\\\b\"} 9\n"
    ."peal_messages_sent_total_of_others{app=\"$id\"} 77\n"
    ."peal_messages_received_total{app=\"$id\",front=\"pusher\"} $received 1800000000000\n";
$two = [$app, ['app_id' => 'a\b', 'key' => 'k', 'secret' => 's', 'options' => ['port' => 1] + $options]];
$only = fn (array $have) => array_filter($have[0], fn ($name) => str_starts_with($name, 'reverb_message'), ARRAY_FILTER_USE_KEY);
$k = 10;
foreach ([
    // what it says; sample rate; what is recorded of it
    ['nothing is known before', 100, 50, 1, 0, 0],
    ['differences, over all front doors', 107, 52, 1, 7, 2],
    ['a Peal that was started anew begins at 0', 4, 1, 1, 7, 1],
    ['one of ten', 104, 1, 0.1, 10, 0],
    ['and no rest is lost: 107 to 119 is the 110th', 116, 1, 0.1, 1, 0],
    ['to 120 the 120th', 117, 1, 0.1, 1, 0],
] as [$what, $sent, $received, $rate, $wantSent, $wantReceived]) {
    $fake($messages($sent, $received));
    $have = $only(beat($pulse, recorder($pulse, $two, ['metrics' => [$want->fake]], $rate), $k++));
    ok($what, $have == array_filter(["reverb_message:sent|$id|count|" => $wantSent,
        "reverb_message:received|$id|count|" => $wantReceived]), $have);
}
$fake($messages(1_000_000, 1));
[$seen, $why] = beat($pulse, recorder($pulse, [$app], ['metrics' => [$want->fake]]), $k++);
ok('no more than 5000 at a time, and it is said', $seen["reverb_message:sent|$id|count|"] === 5000
    && str_contains($why, 'sample_rate'), [$seen, $why]);
$fake("peal_messages_sent_total{app=\"$id\"\n\xff\0 }{} 1\npeal_messages_sent_total{app=\"$id\",} x\n");
ok('no sense at all: no complaint, nothing recorded', ($have = $only(beat($pulse, recorder($pulse, [$app],
    ['metrics' => [$want->fake]]), $k++))) === [], $have);
done();
