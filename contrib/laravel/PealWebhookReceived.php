<?php
// SPDX-License-Identifier: MIT
//
// One event of a webhook of Peal, checked and decoded, for listeners of the site;
// see PealWebhookController.  Copy it to app/Events/PealWebhookReceived.php.

declare(strict_types=1);

namespace App\Events;

final class PealWebhookReceived
{
    public function __construct(
        /** Id of the application. */
        public readonly string $app,
        /** channel_occupied, channel_vacated, member_added, member_removed,
         *  client_event, cache_miss, subscription_count, connection_opened,
         *  connection_closed. */
        public readonly string $name,
        /** All of it: name, and with it channel, user_id, event, data, socket_id,
         *  subscription_count, code or reason. */
        public readonly array $event,
        /** When Peal made the request, in milliseconds since 1970. */
        public readonly int $timeMs,
        /** The same when the same request is sent again. */
        public readonly string $delivery,
    ) {
    }

    /** Empty for events of a connection. */
    public function channel(): string
    {
        return (string) ($this->event['channel'] ?? '');
    }
}
