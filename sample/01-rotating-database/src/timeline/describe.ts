import type { VaultEvent } from 'nestjs-vault';
import { formatUntil, type Line } from './format.js';

const RETIRED = {
  asked: 'the server was asked to end it',
  expired: 'its TTL has passed',
  'with-token': 'ends with its token',
} as const;

const TOKEN_ENDED = {
  'revoke-requested': 'revoked, with its users',
  'revoke-failed': 'could not be revoked',
  given: 'given: not revoked',
  batch: 'a batch token: ends with its TTL',
  expired: 'its TTL has passed',
} as const;

/** The line of an event; `user` returns the database user of a lease. */
export function describe(event: VaultEvent, user: (path: string, serial: number) => string): Line {
  const until = (date: Date) => formatUntil(date, event.at.getTime());
  const retry = (date: Date) => `again in ${((date.getTime() - event.at.getTime()) / 1000).toFixed(1)} s`;
  switch (event.type) {
    case 'login':
      return {
        tone: 'good',
        event: 'login',
        who: `token ${event.sequence}`,
        until: until(event.validUntil),
        note: event.reason === 'start' ? '' : `because: ${event.reason}`,
      };
    case 'login-failed':
      return { tone: 'bad', event: 'login failed', who: event.error.code, note: retry(event.retryAt) };
    case 'token-renewed':
      return {
        tone: 'quiet',
        event: 'renewed',
        who: `token ${event.sequence}`,
        until: until(event.validUntil),
        note: event.capped ? 'max TTL: last renewal' : '',
      };
    case 'token-renewal-failed':
      return { tone: 'bad', event: 'renew failed', who: event.error.code, note: retry(event.retryAt) };
    case 'token-ended':
      return {
        tone: event.how === 'revoke-failed' ? 'bad' : 'end',
        event: 'ended',
        who: `token ${event.sequence}`,
        note: TOKEN_ENDED[event.how],
      };
    case 'issued':
      return {
        tone: 'good',
        event: 'issued',
        who: user(event.path, event.serial),
        until: until(event.validUntil),
      };
    case 'renewed':
      return {
        tone: 'quiet',
        event: 'renewed',
        who: user(event.path, event.serial),
        until: until(event.validUntil),
        note: event.capped ? 'max TTL: last renewal' : '',
      };
    case 'renewal-failed':
      return {
        tone: 'bad',
        event: 'renew failed',
        who: user(event.path, event.serial),
        until: until(event.validUntil),
        note: `${event.error.code} ${retry(event.retryAt)}`,
      };
    case 'rotated':
      return {
        tone: 'change',
        event: 'rotated',
        who: user(event.path, event.serial),
        until: until(event.validUntil),
        note: `replaces #${event.serial - 1}: ${event.reason}`,
      };
    case 'rotation-failed':
      return {
        tone: 'bad',
        event: 'rotate failed',
        who: event.path,
        ...(event.validUntil && { until: until(event.validUntil) }),
        note: `${event.error.code} ${retry(event.retryAt)}`,
      };
    case 'drained':
      return {
        tone: 'end',
        event: 'drained',
        who: user(event.path, event.serial),
        note: 'last connection closed',
      };
    case 'retired':
      return {
        tone: 'end',
        event: 'retired',
        who: user(event.path, event.serial),
        note: RETIRED[event.how],
      };
    case 'expired':
      return {
        tone: 'bad',
        event: 'expired',
        who: user(event.path, event.serial),
        note: 'no valid user any more',
      };
    case 'warning':
      return { tone: 'bad', event: 'warning', who: event.path ?? '', note: event.message };
    case 'tls-reloaded':
      return {
        tone: 'good',
        event: 'TLS files read again',
        who: event.connection,
        note: event.files.join(', '),
      };
    case 'notice':
      return { tone: 'quiet', event: 'notice', who: event.connection, note: event.message };
    case 'vault-unreachable':
      return { tone: 'bad', event: 'unreachable', who: 'the server', note: event.error.code };
    case 'vault-recovered':
      return {
        tone: 'good',
        event: 'recovered',
        who: 'the server',
        note: `after ${(event.after / 1_000).toFixed(1)} s`,
      };
    case 'closing':
      return { tone: 'end', event: 'closing', who: 'rotations have stopped' };
    case 'closed':
      return { tone: 'end', event: 'closed', who: event.connection };
    default:
      return { tone: 'quiet', event: event.type, who: event.path };
  }
}
