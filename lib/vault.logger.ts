import type { LoggerService } from '@nestjs/common';
import type { Observable } from 'rxjs';
import type { VaultEvent } from './events/events.js';

/** Tells the application's log what an operator wants to know; no event holds a secret. */
export function logEvents(events$: Observable<VaultEvent>, logger: LoggerService): void {
  events$.subscribe((event) => {
    const { connection } = event;
    switch (event.type) {
      case 'login':
        logger.log(
          `[${connection}] logged in (${event.reason}), token ${event.generation} until ${until(event.validUntil)}`,
        );
        break;
      case 'rotated':
        logger.log(
          `[${connection}] ${event.path}: rotated (${event.reason}), lease ${event.serial} until ${until(event.validUntil)}`,
        );
        break;
      case 'login-failed':
      case 'token-renewal-failed':
        logger.warn(
          `[${connection}] ${event.type}, next try ${until(event.retryAt)}: ${event.error.message}`,
        );
        break;
      case 'renewal-failed':
      case 'rotation-failed':
      case 'secret-read-failed':
        logger.warn(
          `[${connection}] ${event.path}: ${event.type}, next try ${until(event.retryAt)}: ${event.error.message}`,
        );
        break;
      case 'expired':
        logger.error(
          `[${connection}] ${event.path}: no valid credential any more${event.error ? `: ${event.error.message}` : ''}`,
        );
        break;
      case 'vault-unreachable':
        logger.warn(`[${connection}] the server is away: ${event.error.message}`);
        break;
      case 'vault-recovered':
        logger.log(`[${connection}] the server answers again, after ${(event.after / 1_000).toFixed(1)} s`);
        break;
      case 'secret-gone':
        logger.error(`[${connection}] ${event.path}: gone from the server: ${event.error.message}`);
        break;
      case 'warning':
        logger.warn(`[${connection}] ${event.path ? `${event.path}: ` : ''}${event.message}`);
        break;
      case 'token-ended':
        logger[event.how === 'revoke-failed' ? 'warn' : 'log'](
          `[${connection}] token ${event.generation}: ${event.how}`,
        );
        break;
      default:
        logger.debug?.(`[${connection}] ${event.type}${'path' in event ? ` ${event.path}` : ''}`);
    }
  });
}

/** A token or secret without an end has no date. */
function until(date: Date): string {
  return date.getTime() < 8.64e15 ? date.toISOString() : 'for ever';
}
