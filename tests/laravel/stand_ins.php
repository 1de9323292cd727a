<?php
// SPDX-License-Identifier: MIT
//
// Of Laravel, Pulse and Pusher's library just what contrib/laravel calls, under
// their names, so that the classes there run as they are, without a site around
// them.  Each does as the original is documented to; Pusher\Pusher signs as that
// library does, and asks a real server.
//
// And lines of TAP: ok(), done().

declare(strict_types=1);

namespace Illuminate\Contracts\Config {
    interface Repository
    {
        public function get($key, $default = null);
    }
}

namespace Illuminate\Contracts\Cache {
    interface Repository
    {
        public function get($key, $default = null): mixed;
        public function put($key, $value, $ttl = null);
        public function add($key, $value, $ttl = null);
        public function forget($key);
    }
}

namespace Illuminate\Contracts\Events {
    interface Dispatcher
    {
        public function dispatch($event, $payload = [], $halt = false);
    }
}

namespace Illuminate\Http {
    class Request
    {
        public function __construct(private array $headers, private string $content)
        {
            $this->headers = array_change_key_case($headers);
        }

        public function header($key = null, $default = null)
        {
            return $this->headers[strtolower($key)] ?? $default;
        }

        public function getContent(): string
        {
            return $this->content;
        }
    }

    class Response
    {
        public function __construct(public string $content = '', public int $status = 200, public array $headers = [])
        {
        }

        public function getStatusCode(): int
        {
            return $this->status;
        }
    }
}

namespace Illuminate\Http\Client {
    class RequestException extends \RuntimeException
    {
    }

    /** Factory, pending request and response in one. */
    class Factory
    {
        private array $lines = [];
        private int $seconds = 30;
        private int $status = 0;
        private string $text = '';

        private function with(callable $change): static
        {
            $new = clone $this;
            $change($new);

            return $new;
        }

        public function timeout(int $seconds): static
        {
            return $this->with(fn ($new) => $new->seconds = $seconds);
        }

        public function accept(string $type): static
        {
            return $this->with(fn ($new) => $new->lines[] = "Accept: $type");
        }

        public function withToken(string $token): static
        {
            return $this->with(fn ($new) => $new->lines[] = "Authorization: Bearer $token");
        }

        public function get(string $url): static
        {
            return $this->with(function ($new) use ($url) {
                [$new->status, $new->text] = \fetched('GET', $url, null, $new->lines, $new->seconds);
            });
        }

        public function throw(): static
        {
            if ($this->status < 200 || $this->status > 299) {
                throw new RequestException("HTTP request returned status code {$this->status}");
            }

            return $this;
        }

        public function body(): string
        {
            return $this->text;
        }
    }
}

namespace Pusher {
    class ApiErrorException extends \RuntimeException
    {
    }

    class Pusher
    {
        public function __construct(private string $key, private string $secret, private string $id, private array $options)
        {
        }

        /** auth_key, auth_timestamp, auth_version, body_md5 and the query, sorted. */
        private function signed(string $method, string $path, array $params): string
        {
            $params += ['auth_key' => $this->key, 'auth_timestamp' => (string) time(), 'auth_version' => '1.0'];
            ksort($params);
            $pairs = [];
            foreach ($params as $name => $value) {
                $pairs[] = "$name=$value";
            }
            $params['auth_signature'] = hash_hmac('sha256', "$method\n$path\n".implode('&', $pairs), $this->secret);

            return http_build_query($params);
        }

        private function ask(string $method, string $path, array $params, ?string $body): object
        {
            $path = '/apps/'.$this->id.$path;
            $o = $this->options;
            [$status, $text] = \fetched($method, "{$o['scheme']}://{$o['host']}:{$o['port']}$path?"
                .$this->signed($method, $path, $params), $body, ['Content-Type: application/json',
                'X-Pusher-Library: pusher-http-php 7.2.7'], $o['timeout'] ?? 30);
            if ($status !== 200) {
                throw new ApiErrorException($text, $status);
            }

            return json_decode($text, false, 512, JSON_THROW_ON_ERROR);
        }

        public function get(string $path, array $params = [], $associative = false)
        {
            return $this->ask('GET', $path, $params, null);
        }

        public function trigger($channels, string $event, $data): object
        {
            $body = json_encode(['name' => $event, 'data' => json_encode($data), 'channels' => (array) $channels]);

            return $this->ask('POST', '/events', ['body_md5' => md5($body)], $body);
        }
    }
}

namespace Illuminate\Broadcasting {
    class BroadcastManager
    {
        public function pusher(array $config): \Pusher\Pusher
        {
            return new \Pusher\Pusher($config['key'], $config['secret'], $config['app_id'], $config['options'] ?? []);
        }
    }
}

namespace Laravel\Pulse {
    class Entry
    {
        public array $aggregations = [];
        public bool $buckets = false;

        public function __construct(public int $timestamp, public string $type, public string $key, public ?int $value = null)
        {
        }

        public function __call(string $name, array $arguments): static
        {
            if (! in_array($name, ['count', 'min', 'max', 'sum', 'avg'])) {
                throw new \BadMethodCallException($name);
            }
            $this->aggregations[] = $name;

            return $this;
        }

        public function onlyBuckets(): static
        {
            $this->buckets = true;

            return $this;
        }
    }

    class Pulse
    {
        public array $entries = [];

        public function record(string $type, string $key, ?int $value = null, \DateTimeInterface|int|null $timestamp = null): Entry
        {
            return $this->entries[] = new Entry($timestamp, $type, $key, $value);
        }
    }
}

namespace Laravel\Pulse\Events {
    class IsolatedBeat
    {
        public function __construct(public \DateTimeInterface $time)
        {
        }
    }
}

namespace Laravel\Pulse\Support {
    class CacheStoreResolver
    {
        public function __construct(private \Illuminate\Contracts\Cache\Repository $cache)
        {
        }

        public function store(): \Illuminate\Contracts\Cache\Repository
        {
            return $this->cache;
        }
    }
}

namespace {
    /** [status, body] of a request; a RuntimeException if there is no answer. */
    function fetched(string $method, string $url, ?string $body, array $lines, int $seconds): array
    {
        $curl = curl_init($url);
        curl_setopt_array($curl, [CURLOPT_CUSTOMREQUEST => $method, CURLOPT_RETURNTRANSFER => true,
            CURLOPT_TIMEOUT => $seconds, CURLOPT_HTTPHEADER => [...$lines, 'Expect:'], CURLOPT_NOPROXY => '*']);
        if ($body !== null) {
            curl_setopt($curl, CURLOPT_POSTFIELDS, $body);
        }
        $text = curl_exec($curl);
        if ($text === false) {
            throw new RuntimeException(curl_error($curl));
        }

        return [curl_getinfo($curl, CURLINFO_RESPONSE_CODE), $text];
    }

    final class Settings implements Illuminate\Contracts\Config\Repository
    {
        public function __construct(public array $all)
        {
        }

        public function get($key, $default = null)
        {
            $at = $this->all;
            foreach (explode('.', $key) as $part) {
                if (! is_array($at) || ! array_key_exists($part, $at)) {
                    return $default;
                }
                $at = $at[$part];
            }

            return $at;
        }
    }

    /** In a file, so that requests of a PHP server share it; times are not kept. */
    final class FileCache implements Illuminate\Contracts\Cache\Repository
    {
        public function __construct(private string $file)
        {
        }

        private function all(): array
        {
            return is_file($this->file) ? unserialize(file_get_contents($this->file)) : [];
        }

        public function get($key, $default = null): mixed
        {
            return $this->all()[$key] ?? $default;
        }

        public function put($key, $value, $ttl = null)
        {
            return false !== file_put_contents($this->file, serialize([$key => $value] + $this->all()));
        }

        public function add($key, $value, $ttl = null)
        {
            return ! array_key_exists($key, $this->all()) && $this->put($key, $value, $ttl);
        }

        public function forget($key)
        {
            return false !== file_put_contents($this->file, serialize(array_diff_key($this->all(), [$key => 0])));
        }
    }

    final class Listeners implements Illuminate\Contracts\Events\Dispatcher
    {
        public function __construct(private Closure $hear)
        {
        }

        public function dispatch($event, $payload = [], $halt = false)
        {
            ($this->hear)($event);
        }
    }

    function ok(string $what, bool $good, mixed $have = null): void
    {
        static $n = 0;
        $n++;
        echo $good ? '' : 'not ', "ok $n - $what\n";
        if (! $good) {
            echo '# have: ', json_encode($have), "\n";
        }
        $GLOBALS['tests'] = [$n, ($GLOBALS['tests'][1] ?? 0) + ($good ? 0 : 1)];
    }

    function done(): never
    {
        [$n, $bad] = $GLOBALS['tests'];
        echo "1..$n\n";
        exit($bad > 0 ? 1 : 0);
    }

    // What PHP itself complains of is a failure, as it is in Laravel.
    error_reporting(E_ALL);
    set_error_handler(fn (int $level, string $text, string $file, int $line) => throw new ErrorException($text, 0, $level, $file, $line));
}
