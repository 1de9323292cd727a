<?php
// SPDX-License-Identifier: MIT
//
// Takes Peal's webhooks (or Pusher's) and dispatches App\Events\PealWebhookReceived
// for each event in them.  Copy it to app/Http/Controllers/PealWebhookController.php;
// doc/LARAVEL, "Webhooks", has the route and Peal's side.
//
//   204  taken, or taken before: Peal sends a request again if it heard no answer
//   401  not signed by an application of config/reverb.php
//   400  signed, but not what a webhook looks like
//   503  it is being taken just now; Peal asks again
//   500  a listener threw: Peal sends it again.  Other listeners may have heard it
//        by then, so what must happen once belongs into a queued listener.

declare(strict_types=1);

namespace App\Http\Controllers;

use App\Events\PealWebhookReceived;
use Illuminate\Contracts\Cache\Repository as Cache;
use Illuminate\Contracts\Config\Repository as Config;
use Illuminate\Contracts\Events\Dispatcher;
use Illuminate\Http\Request;
use Illuminate\Http\Response;
use Throwable;

class PealWebhookController
{
    /** Seconds for which a delivery is known; more than [webhook] retry_for. */
    private const REMEMBERED = 3600;

    /** Seconds after which listeners that said nothing are taken for dead. */
    private const BUSY = 60;

    public function __construct(
        private readonly Config $config,
        private readonly Cache $cache,
        private readonly Dispatcher $events,
    ) {
    }

    public function __invoke(Request $request): Response
    {
        $body = $request->getContent();
        $app = $this->signer($request, $body);
        if ($app === null) {
            return new Response('', 401);
        }
        $hook = json_decode($body, true);
        if (! $this->isHook($hook)) {
            return new Response('', 400);
        }
        $delivery = (string) $request->header('X-Peal-Delivery');
        // The signature stands for the body: a delivery id alone is not signed.
        $key = 'peal:webhook:'.hash('sha256', $delivery.$request->header('X-Pusher-Signature'));
        if (! $this->cache->add($key, 'busy', self::BUSY)) {
            return new Response('', $this->cache->get($key) === 'done' ? 204 : 503);
        }
        try {
            foreach ($hook['events'] as $event) {
                $this->events->dispatch(new PealWebhookReceived(
                    (string) $app['app_id'], $event['name'], $event, $hook['time_ms'], $delivery));
            }
        } catch (Throwable $failure) {
            $this->cache->forget($key);
            throw $failure;
        }
        $this->cache->put($key, 'done', self::REMEMBERED);

        return new Response('', 204);
    }

    /** The application whose signature it bears. */
    private function signer(Request $request, string $body): ?array
    {
        $key = (string) $request->header('X-Pusher-Key');
        $signature = (string) $request->header('X-Pusher-Signature');
        foreach ($this->config->get('reverb.apps.apps') ?? [] as $app) {
            // webhook_secret: [webhook] secret of peal.ini, if there is one.
            $secret = (string) ($app['webhook_secret'] ?? $app['secret'] ?? '');
            if ($secret !== '' && hash_equals((string) $app['key'], $key)
                && hash_equals(hash_hmac('sha256', $body, $secret), $signature)) {
                return $app;
            }
        }

        return null;
    }

    private function isHook(mixed $hook): bool
    {
        if (! is_array($hook) || ! is_int($hook['time_ms'] ?? null) || ! is_array($hook['events'] ?? null)) {
            return false;
        }
        foreach ($hook['events'] as $event) {
            if (! is_array($event) || ! is_string($event['name'] ?? null)) {
                return false;
            }
        }

        return true;
    }
}
