import type { Observable } from 'rxjs';
import { printable } from '../errors/printable.js';
import type { VaultEvent } from './events.js';
import type { VaultLogger } from './logger.js';

/** Limit of a line in characters: an error with its hint, and the name of its subject. */
const LONGEST = 17_000;

type Level = 'debug' | 'info' | 'warn' | 'error';

/** Logs the events that concern an operator; no event contains a secret. */
export function logEvents(events$: Observable<VaultEvent>, logger: VaultLogger): void {
  events$.subscribe((event) => {
    const log = (level: Level, text: string) =>
      write(logger, level, printable(`[${event.connection}] ${text}`, LONGEST));
    switch (event.type) {
      case 'login':
        log('info', `logged in (${event.reason}), token ${event.sequence} ${until(event.validUntil)}`);
        break;
      case 'issued':
        // A lease that replaces another one is logged as a rotation.
        log(
          event.serial === 1 ? 'info' : 'debug',
          `${event.path}: issued, lease ${event.serial} ${until(event.validUntil)}`,
        );
        break;
      case 'rotated':
        log(
          'info',
          `${event.path}: rotated (${event.reason}), lease ${event.serial} ${until(event.validUntil)}`,
        );
        break;
      case 'login-failed':
      case 'token-renewal-failed':
        log(
          'warn',
          // Without a token there is no scheduled attempt: the start or the next request decides.
          `${event.type}${event.sequence > 0 ? `, next attempt ${event.retryAt.toISOString()}` : ''}: ${event.error.message}`,
        );
        break;
      case 'renewal-failed':
      case 'rotation-failed':
      case 'secret-read-failed':
        log(
          'warn',
          `${event.path}: ${event.type}, next attempt ${event.retryAt.toISOString()}: ${event.error.message}`,
        );
        break;
      case 'expired':
        log(
          'error',
          `${event.path}: expired, no valid credential${event.error ? `: ${event.error.message}` : ''}`,
        );
        break;
      case 'vault-unreachable':
        log('warn', `the server is unreachable: ${event.error.message}`);
        break;
      case 'vault-recovered':
        log('info', `the server is reachable again, after ${(event.after / 1_000).toFixed(1)} s`);
        break;
      case 'tls-reloaded':
        log('info', `the TLS files have changed; new connections use them: ${event.files.join(', ')}`);
        break;
      case 'secret-gone':
        log('error', `${event.path}: gone from the server: ${event.error.message}`);
        break;
      case 'secret-invalid':
        log('error', `${event.path}: the new value is not used, the last one stays: ${event.error.message}`);
        break;
      case 'warning':
        log('warn', `${event.path ? `${event.path}: ` : ''}${event.message}`);
        break;
      case 'notice':
        log('info', event.message);
        break;
      case 'pool-warning':
        log('warn', `pool of ${event.pool}: ${event.message}`);
        break;
      case 'token-ended':
        log(
          event.how === 'revoke-failed' ? 'warn' : 'info',
          `token ${event.sequence} ${TOKEN_ENDS[event.how]}`,
        );
        break;
      default:
        log('debug', `${event.type}${'path' in event ? ` ${event.path}` : ''}`);
    }
  });
}

/** Nest's loggers call the level `log`; winston's method of that name takes a level first. */
function write(logger: VaultLogger, level: Level, line: string): void {
  if (level === 'info' && !logger.info) logger.log?.(line);
  else logger[level]?.(line);
}

/** A token or secret without expiry has no date. */
function until(date: Date): string {
  return date.getTime() < 8.64e15 ? `until ${date.toISOString()}` : 'without expiry';
}

const TOKEN_ENDS: Record<Extract<VaultEvent, { type: 'token-ended' }>['how'], string> = {
  'revoke-requested': 'revoked, with all its leases',
  'revoke-failed': 'could not be revoked; it ends with its TTL, unless a later attempt succeeds',
  given: 'is not revoked: it was given to this application, or `shutdown.revoke` is false',
  batch: 'is a batch token, which cannot be revoked: it ends with its TTL',
  expired: 'expired',
};
