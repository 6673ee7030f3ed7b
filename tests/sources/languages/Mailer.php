<?php

declare(strict_types=1);

namespace App\Mail;

use Psr\Log\LoggerInterface;

const RETRIES = 3;

/**
 * Sends messages, and tries again where that fails.
 */
#[AsService]
final class Mailer implements MailerInterface
{
    use Retries;

    public function __construct(private LoggerInterface $logger) {}

    /** Sends one message. */
    public function send(Message $message): bool
    {
        return $this->retry(fn () => $this->transport->deliver($message), RETRIES);
    }

    abstract protected static function boot(): void;
}

interface MailerInterface
{
    public function send(Message $message): bool;
}

trait Retries
{
    private function retry(callable $what, int $times): bool
    {
        return $what();
    }
}

enum Status: string
{
    case Sent = 'sent';

    public function label(): string { return ucfirst($this->value); }
}

function render(string $template, array $values = []): string
{
    return strtr($template, $values);
}
