<?php
// SPDX-License-Identifier: MIT
//
// contrib/laravel/PealWebhookController.php and what is no good webhook.

declare(strict_types=1);

require __DIR__.'/stand_ins.php';
require __DIR__.'/../../contrib/laravel/PealWebhookReceived.php';
require __DIR__.'/../../contrib/laravel/PealWebhookController.php';

use App\Events\PealWebhookReceived;
use App\Http\Controllers\PealWebhookController;
use Illuminate\Http\Request;

$cacheFile = tempnam(sys_get_temp_dir(), 'peal-hook-');
unlink($cacheFile);
register_shutdown_function(fn () => @unlink($cacheFile));
$cache = new FileCache($cacheFile);
$heard = [];
$fails = false;
$inside = null;
$events = new Listeners(function (object $event) use (&$heard, &$fails, &$inside) {
    if ($fails) {
        throw new DomainException('the listener');
    }
    $heard[] = $event;
    if ($inside !== null) {
        $inside();
    }
});
$controller = new PealWebhookController(new Settings(['reverb' => ['apps' => ['apps' => [
    ['app_id' => 1001, 'key' => 'app-key', 'secret' => 'app-secret'],
    ['app_id' => '2', 'key' => 'other-key', 'secret' => 'other-secret'],
    ['app_id' => '3', 'key' => 'own-key', 'secret' => 's', 'webhook_secret' => 'hook-secret'],
    ['app_id' => '4', 'key' => 'no-key', 'secret' => null],
]]]]), $cache, $events);

$sign = fn (string $body, string $secret) => hash_hmac('sha256', $body, $secret);
$status = function (string $body, array $headers) use ($controller): int {
    return $controller(new Request($headers, $body))->getStatusCode();
};
$signed = fn (string $body, string $delivery = 'd', string $key = 'app-key', string $secret = 'app-secret') =>
    $status($body, ['X-Pusher-Key' => $key, 'X-Pusher-Signature' => $sign($body, $secret), 'X-Peal-Delivery' => $delivery]);

$body = '{"time_ms":1800000000123,"events":[{"name":"channel_occupied","channel":"room"},'
    .'{"name":"client_event","channel":"presence-x","event":"client-a","data":"{\"a\":\"ä/\"}","socket_id":"1.2","user_id":"7"}]}';

ok('a good one is taken', $signed($body) === 204);
ok('and each event heard', count($heard) === 2 && $heard[0] instanceof PealWebhookReceived);
ok('with all that it says', $heard[1]->app === '1001' && $heard[1]->name === 'client_event'
    && $heard[1]->channel() === 'presence-x' && $heard[1]->event['data'] === '{"a":"ä/"}'
    && $heard[1]->timeMs === 1800000000123 && $heard[1]->delivery === 'd', $heard);
ok('the same delivery again: taken, not heard', $signed($body) === 204 && count($heard) === 2);
ok('another delivery of the same text is another one', $signed($body, 'e') === 204 && count($heard) === 4);

$heard = [];
foreach ([
    'no headers' => [],
    'no signature' => ['X-Pusher-Key' => 'app-key'],
    'no key' => ['X-Pusher-Signature' => $sign($body, 'app-secret')],
    'a wrong secret' => ['X-Pusher-Key' => 'app-key', 'X-Pusher-Signature' => $sign($body, 'app-secrets')],
    'the secret of another application' => ['X-Pusher-Key' => 'app-key', 'X-Pusher-Signature' => $sign($body, 'other-secret')],
    'the key of another application' => ['X-Pusher-Key' => 'other-key', 'X-Pusher-Signature' => $sign($body, 'app-secret')],
    'a key that nobody has' => ['X-Pusher-Key' => 'nobody', 'X-Pusher-Signature' => $sign($body, 'app-secret')],
    'an application without a secret' => ['X-Pusher-Key' => 'no-key', 'X-Pusher-Signature' => $sign($body, '')],
    'the secret of the API where there is one for webhooks' => ['X-Pusher-Key' => 'own-key', 'X-Pusher-Signature' => $sign($body, 's')],
    'another text' => ['X-Pusher-Key' => 'app-key', 'X-Pusher-Signature' => $sign($body.' ', 'app-secret')],
    'a signature in capitals' => ['X-Pusher-Key' => 'app-key', 'X-Pusher-Signature' => strtoupper($sign($body, 'app-secret'))],
    'half a signature' => ['X-Pusher-Key' => 'app-key', 'X-Pusher-Signature' => substr($sign($body, 'app-secret'), 0, 32)],
] as $what => $headers) {
    ok("refused: $what", $status($body, $headers + ['X-Peal-Delivery' => "refused $what"]) === 401);
}
ok('nobody heard of them', $heard === []);
ok('other applications, other secrets', $signed($body, 'f', 'other-key', 'other-secret') === 204 && $heard[0]->app === '2'
    && $signed($body, 'g', 'own-key', 'hook-secret') === 204 && $heard[2]->app === '3');

$heard = [];
foreach (['', 'null', '[]', '{', '"x"', '{"time_ms":1}', '{"time_ms":"1","events":[]}', '{"time_ms":1,"events":"x"}',
    '{"time_ms":1,"events":[1]}', '{"time_ms":1,"events":[{"name":["x"]}]}', '{"time_ms":1,"events":[{"name":"a"},{}]}',
    str_repeat('[', 2000)] as $i => $text) {
    ok('signed, but no webhook: '.substr($text, 0, 40), $signed($text, "bad $i") === 400 && $heard === []);
}
ok('a webhook without events is one', $signed('{"time_ms":1,"events":[]}', 'none') === 204 && $heard === []);

$fails = true;
try {
    $signed($body, 'h');
    ok('a listener that fails is heard of', false);
} catch (DomainException) {
    ok('a listener that fails is heard of', true);
}
$fails = false;
ok('and the delivery comes again', $signed($body, 'h') === 204 && count($heard) === 2);
$during = null;
$inside = function () use (&$during, &$inside, $signed, $body) {
    $inside = null;
    $during = $signed($body, 'i');
};
ok('while it is being taken, the same is asked for once more', $signed($body, 'i') === 204 && $during === 503, $during);
ok('by then it is done', $signed($body, 'i') === 204 && count($heard) === 4);
done();
