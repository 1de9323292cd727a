<?php
// SPDX-License-Identifier: MIT
//
// php -S 127.0.0.1:PORT hook_server.php: the site that takes webhooks, with
// contrib/laravel/PealWebhookController.php and nothing else.  In HOOK_DIR are
// app.json (the application) and, afterwards, heard: a line for each event; refuse:
// while it is there, a listener throws.

declare(strict_types=1);

require __DIR__.'/stand_ins.php';
require __DIR__.'/../../contrib/laravel/PealWebhookReceived.php';
require __DIR__.'/../../contrib/laravel/PealWebhookController.php';

use App\Events\PealWebhookReceived;
use App\Http\Controllers\PealWebhookController;
use Illuminate\Http\Request;

$dir = getenv('HOOK_DIR');
$app = json_decode(file_get_contents("$dir/app.json"), true);
$body = file_get_contents('php://input');
$headers = getallheaders();

// As pusher/pusher-php-server has it: the headers under these very names.
$library = ($headers['X-Pusher-Key'] ?? '') === $app['key']
    && hash_hmac('sha256', $body, $app['secret']) === ($headers['X-Pusher-Signature'] ?? '');

try {
    $controller = new PealWebhookController(
        new Settings(['reverb' => ['apps' => ['apps' => [['app_id' => $app['id']] + $app]]]]),
        new FileCache("$dir/cache"),
        new Listeners(function (PealWebhookReceived $event) use ($dir, $library) {
            if (is_file("$dir/refuse")) {
                throw new DomainException('a listener');
            }
            file_put_contents("$dir/heard", json_encode(['app' => $event->app, 'event' => $event->event,
                'library' => $library, 'delivery' => $event->delivery])."\n", FILE_APPEND);
        }));
    $status = $controller(new Request($headers, $body))->getStatusCode();
} catch (DomainException) {
    $status = 500;
}
file_put_contents("$dir/answered", "$status\n", FILE_APPEND);
http_response_code($status);
