import type { LoggerService } from '@nestjs/common';
import type { Observable } from 'rxjs';
import { printable } from './errors/printable.js';
import type { VaultEvent } from './events/events.js';

/** Characters of a line: an error with its hint, and whose it is. */
const LONGEST = 17_000;

/** Tells the application's log what an operator wants to know; no event holds a secret. */
export function logEvents(events$: Observable<VaultEvent>, logger: LoggerService): void {
  events$.subscribe((event) => {
    const tell = (level: 'debug' | 'log' | 'warn' | 'error', text: string) =>
      logger[level]?.(printable(`[${event.connection}] ${text}`, LONGEST));
    switch (event.type) {
      case 'login':
        tell('log', `logged in (${event.reason}), token ${event.generation} ${until(event.validUntil)}`);
        break;
      case 'issued':
        // What comes in the place of another one is told as a rotation.
        tell(
          event.serial === 1 ? 'log' : 'debug',
          `${event.path}: issued, lease 1 ${until(event.validUntil)}`,
        );
        break;
      case 'rotated':
        tell(
          'log',
          `${event.path}: rotated (${event.reason}), lease ${event.serial} ${until(event.validUntil)}`,
        );
        break;
      case 'login-failed':
      case 'token-renewal-failed':
        tell(
          'warn',
          // Without a token there is nothing to be kept up: a start, or who asks next, tries again or not.
          `${event.type}${event.generation > 0 ? `, next try ${event.retryAt.toISOString()}` : ''}: ${event.error.message}`,
        );
        break;
      case 'renewal-failed':
      case 'rotation-failed':
      case 'secret-read-failed':
        tell(
          'warn',
          `${event.path}: ${event.type}, next try ${event.retryAt.toISOString()}: ${event.error.message}`,
        );
        break;
      case 'expired':
        tell(
          'error',
          `${event.path}: no valid credential any more${event.error ? `: ${event.error.message}` : ''}`,
        );
        break;
      case 'vault-unreachable':
        tell('warn', `the server is away: ${event.error.message}`);
        break;
      case 'vault-recovered':
        tell('log', `the server answers again, after ${(event.after / 1_000).toFixed(1)} s`);
        break;
      case 'tls-reloaded':
        tell(
          'log',
          `the TLS files have changed, and are used for new connections: ${event.files.join(', ')}`,
        );
        break;
      case 'secret-gone':
        tell('error', `${event.path}: gone from the server: ${event.error.message}`);
        break;
      case 'warning':
        tell('warn', `${event.path ? `${event.path}: ` : ''}${event.message}`);
        break;
      case 'token-ended':
        tell(
          event.how === 'revoke-failed' ? 'warn' : 'log',
          `token ${event.generation} ${TOKEN_ENDS[event.how]}`,
        );
        break;
      default:
        tell('debug', `${event.type}${'path' in event ? ` ${event.path}` : ''}`);
    }
  });
}

/** A token or secret without an end has no date. */
function until(date: Date): string {
  return date.getTime() < 8.64e15 ? `until ${date.toISOString()}` : 'without an end';
}

const TOKEN_ENDS: Record<Extract<VaultEvent, { type: 'token-ended' }>['how'], string> = {
  'revoke-requested': 'revoked, with all its leases',
  'revoke-failed': 'could not be revoked; it ends with its TTL, unless a later try works',
  given: 'is left alone: it was given to this application, or `shutdown.revoke` is false',
  batch: 'is a batch token, which cannot be revoked: it ends with its TTL',
  expired: 'expired',
};
