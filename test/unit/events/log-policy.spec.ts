import { Subject } from 'rxjs';
import { beforeEach, describe, expect, it } from 'vitest';
import { VaultError } from '../../../lib/errors/vault-error.js';
import type { EventInit, VaultEvent } from '../../../lib/events/events.js';
import { levelOf } from '../../../lib/events/log-line.js';
import { failureAt, KeptLines } from '../../support/log-lines.js';

const MINUTE = 60_000;
const RENEW = 'sys/leases/renew';
const SEALED = failureAt('VAULT_SEALED', RENEW, 503);
/** An error of a request that got no answer. */
const unanswered = (path: string) =>
  new VaultError({
    code: 'VAULT_TIMEOUT',
    message: 'There was no answer.',
    hint: 'Wait.',
    path,
    outcomeUnknown: true,
  });
const DENIED = failureAt('VAULT_PERMISSION_DENIED', 'database/creds/a', 403);
const START = Date.parse('2026-11-30T18:00:00.000Z');

let now: number;
let events$: Subject<VaultEvent>;
let lines: KeptLines;

beforeEach(() => {
  now = START;
  events$ = new Subject();
  lines = new KeptLines(events$);
});

const after = (milliseconds: number) => new Date(now + milliseconds);
const emit = (event: EventInit, connection = 'default') =>
  events$.next({ ...event, connection, at: new Date(now) } as VaultEvent);
const life = {
  validUntil: new Date(START + 3_600_000),
  next: { action: 'renew' as const, at: new Date(START + 2_400_000), reason: 'renewal' },
};
const renewal = { ...life, previousTtl: 3_600_000, capped: false };

const renewalFails = (path: string, error = failureAt('VAULT_TIMEOUT', RENEW), attempt = 1) =>
  emit({
    type: 'renewal-failed',
    path,
    serial: 1,
    error,
    retryAt: after(10_000),
    attempt,
    validUntil: life.validUntil,
  });
const rotationFails = (path: string, error = failureAt('VAULT_BACKEND_FAILED', path)) =>
  emit({ type: 'rotation-failed', path, reason: 'max-ttl', error, retryAt: after(10_000), attempt: 1 });
const renewed = (path: string, ttl = 3_600_000) =>
  emit({ type: 'renewed', path, serial: 1, ...renewal, ttl });
const issued = (path: string) => emit({ type: 'issued', path, serial: 2, ...life, renewable: true });

const texts = () => lines.shown.map((line) => `${levelOf(line)} ${line.message}`);

describe('what a person follows at the level `log`', () => {
  it('issue, renewal, rotation and end, each with its end and the next step', () => {
    emit({ type: 'login', sequence: 1, reason: 'start', ...life });
    emit({ type: 'issued', path: 'database/creds/a', serial: 1, ...life, renewable: true });
    renewed('database/creds/a');
    issued('database/creds/a');
    emit({ type: 'rotated', path: 'database/creds/a', serial: 2, reason: 'max-ttl', ...life });
    emit({ type: 'drained', path: 'database/creds/a', serial: 1 });
    emit({ type: 'retired', path: 'database/creds/a', serial: 1, how: 'asked' });
    emit({ type: 'token-ended', sequence: 1, how: 'revoke-requested' });
    const span = 'until 2026-11-30T19:00:00Z, next renewal at 2026-11-30T18:40:00Z';
    expect(texts()).toEqual([
      `log [default] logged in (start), token 1 ${span}`,
      `log [default] database/creds/a: issued, lease 1 ${span}`,
      `log [default] database/creds/a: renewed, lease 1 ${span}`,
      // The lease 2 is in one line only.
      `log [default] database/creds/a: rotated (max-ttl), lease 2 ${span}`,
      'log [default] database/creds/a: lease 1 is not used any more, and the server ends it',
      'log [default] token 1 revoked, with all its leases',
    ]);
  });

  it('its members', () => {
    emit({ type: 'rotated', path: 'database/creds/a', serial: 2, reason: 'max-ttl', ...life });
    const { message, ...members } = lines.all[0]!;
    expect(message).toContain('rotated');
    expect(members).toEqual({
      code: 'rotated',
      connection: 'default',
      path: 'database/creds/a',
      lease: 2,
      reason: 'max-ttl',
      validUntil: '2026-11-30T19:00:00.000Z',
      next: 'renew',
      nextAt: '2026-11-30T18:40:00.000Z',
    });
  });

  it('a renewal that comes more than once a minute is a detail', () => {
    renewed('database/creds/a', 89_000);
    emit({ type: 'token-renewed', sequence: 1, ...renewal, ttl: 20_000 });
    expect(texts()).toEqual([]);
    renewed('database/creds/a', 90_000);
    emit({ type: 'token-renewed', sequence: 1, ...renewal, ttl: 90_000 });
    expect(lines.take()).toEqual({ renewed: 1, 'token-renewed': 1 });
  });

  it('a lease that ends before its next step ends with its token', () => {
    const next = { ...life.next, at: new Date(START + 3_700_000) };
    emit({
      type: 'issued',
      path: 'database/creds/a',
      serial: 1,
      validUntil: life.validUntil,
      next,
      renewable: true,
    });
    expect(texts()).toEqual([
      'log [default] database/creds/a: issued, lease 1 until 2026-11-30T19:00:00Z, the end of its token',
    ]);
  });

  it('a token without expiry has no dates', () => {
    emit({
      type: 'login',
      sequence: 1,
      reason: 'start',
      validUntil: new Date(8.64e15),
      next: { action: 'none', reason: 'x' },
    });
    expect(texts()).toEqual(['log [default] logged in (start), token 1 without expiry']);
    expect(lines.all[0]).not.toHaveProperty('validUntil');
    expect(lines.all[0]).not.toHaveProperty('next');
  });

  it('at shutdown the line of the token says it for all leases', () => {
    emit({ type: 'closing' });
    for (const path of ['a', 'b']) emit({ type: 'retired', path, serial: 1, how: 'asked' });
    emit({ type: 'token-ended', sequence: 1, how: 'given' });
    emit({ type: 'closed' });
    expect(lines.take()).toEqual({ 'token-ended': 1 });
  });
});

describe('one cause, one line', () => {
  it('an outage of the server, whatever fails in it', () => {
    emit({ type: 'vault-unreachable', error: SEALED });
    for (let round = 0; round < 5; round++) {
      now += MINUTE;
      for (let index = 0; index < 40; index++) renewalFails(`database/creds/${index}`, SEALED);
      emit({ type: 'token-renewal-failed', sequence: 1, error: SEALED, retryAt: after(1_000), attempt: 1 });
      // A request that got no answer at all.
      rotationFails('database/creds/0', failureAt('VAULT_TIMEOUT', 'database/creds/0'));
    }
    expect(lines.take()).toEqual({ 'vault-unreachable': 1 });
    emit({ type: 'vault-recovered', after: 5 * MINUTE });
    expect(texts()).toEqual([
      'log [default] the server is reachable again, after 5.0 min, in which 210 attempts for 41 tokens and secrets failed',
    ]);
    expect(lines.all[0]).toMatchObject({ duration: 5 * MINUTE, failedAttempts: 210, affected: 41 });
  });

  it('an error of the outage that is repeated after it', () => {
    emit({ type: 'vault-unreachable', error: SEALED });
    emit({ type: 'vault-recovered', after: 1_000 });
    renewalFails('database/creds/a', SEALED);
    expect(lines.take()).toEqual({ 'vault-unreachable': 1, 'vault-recovered': 1 });
    now += 10 * MINUTE;
    renewalFails('database/creds/a', SEALED);
    expect(lines.take()).toEqual({ 'renewal-failed': 1 });
  });

  it('a server that does not answer renewals', () => {
    for (let index = 0; index < 40; index++) renewalFails(`database/creds/${index}`);
    expect(lines.take()).toEqual({ 'renewal-failed': 1 });
    now += 20_000;
    for (let index = 0; index < 40; index++) renewed(`database/creds/${index}`, 60_000);
    expect(texts()).toEqual([
      'log [default] no more failures with VAULT_TIMEOUT, after 20.0 s, in which 40 attempts for 40 tokens and secrets failed',
    ]);
  });

  it('another cause has a line of its own, also in an outage', () => {
    emit({ type: 'vault-unreachable', error: SEALED });
    renewalFails('database/creds/a', SEALED);
    lines.take();
    rotationFails('database/creds/a', DENIED);
    rotationFails('database/creds/b', failureAt('VAULT_PERMISSION_DENIED', 'database/creds/b', 403));
    rotationFails('database/creds/a', DENIED);
    expect(texts()).toEqual([
      'warn [default] database/creds/a: rotation-failed, next attempt 2026-11-30T18:00:10Z: It failed at database/creds/a. [VAULT_PERMISSION_DENIED] Wait.',
      expect.stringContaining('database/creds/b: rotation-failed'),
    ]);
    expect(lines.all[0]).toMatchObject({
      errorCode: 'VAULT_PERMISSION_DENIED',
      status: 403,
      next: 'issue',
      attempt: 1,
    });
  });

  it('a database that fails for all its roles', () => {
    for (const role of ['a', 'b', 'c']) rotationFails(`database/creds/${role}`);
    rotationFails('rabbitmq/creds/a');
    expect(lines.take()).toEqual({ 'rotation-failed': 2 });
    for (const role of ['a', 'b', 'c']) issued(`database/creds/${role}`);
    expect(lines.shown.map(({ failedAttempts }) => failedAttempts)).toEqual([3]);
  });

  it('a login that fails, and the leases that wait for it', () => {
    const error = failureAt('VAULT_LOGIN_DENIED', 'auth/approle/login', 403);
    emit({ type: 'login-failed', sequence: 1, error, retryAt: after(10_000), attempt: 1 });
    for (let index = 0; index < 40; index++) rotationFails(`database/creds/${index}`, error);
    expect(lines.take()).toEqual({ 'login-failed': 1 });
  });

  it('a rotation that fails while renewals succeed', () => {
    for (let round = 0; round < 5; round++) {
      rotationFails('database/creds/a');
      renewed('database/creds/a', 20_000);
      now += 10_000;
    }
    expect(lines.take()).toEqual({ 'rotation-failed': 1 });
    issued('database/creds/a');
    expect(lines.take()).toEqual({ 'failures-ended': 1 });
  });

  it('the same failure after its end is another trouble', () => {
    renewalFails('database/creds/a');
    renewed('database/creds/a');
    renewalFails('database/creds/a');
    expect(lines.take()).toEqual({ 'renewal-failed': 2, renewed: 1, 'failures-ended': 1 });
  });

  it('five thousand paths, each with a trouble of its own: each line costs microseconds', () => {
    const paths = Array.from({ length: 5_000 }, (_, index) => `database/creds/${index}`);
    const deny = (path: string) => rotationFails(path, failureAt('VAULT_PERMISSION_DENIED', path, 403));
    const { user } = process.cpuUsage();
    for (const path of [...paths, ...paths]) deny(path);
    for (const path of paths) issued(path);
    expect(lines.take()).toEqual({ 'rotation-failed': paths.length, 'failures-ended': paths.length });
    // Microseconds for all of them. A search of all troubles for each line takes three times as long.
    expect(process.cpuUsage().user - user).toBeLessThan(2_000_000);
  });

  it('a path that the application releases leaves its trouble, and the last one ends it', () => {
    for (const path of ['a', 'b', 'c']) renewalFails(`database/creds/${path}`);
    const gone = failureAt('VAULT_TIMEOUT', 'sys/x');
    emit({
      type: 'secret-read-failed',
      path: 'secret/data/x',
      error: gone,
      retryAt: after(1_000),
      attempt: 1,
    });
    lines.take();
    emit({ type: 'released', path: 'database/creds/a' });
    renewed('database/creds/b', 60_000);
    emit({ type: 'released', path: 'secret/data/x' });
    expect(lines.take()).toEqual({});
    emit({ type: 'released', path: 'database/creds/c' });
    expect(lines.shown).toMatchObject([{ code: 'failures-ended', failedAttempts: 4, affected: 4 }]);
    // The next one of the same cause is another trouble.
    lines.take();
    renewalFails('database/creds/b');
    expect(lines.take()).toEqual({ 'renewal-failed': 1 });
  });

  it('a secret that is gone cannot be read any more: trouble on the way to it has ended', () => {
    const path = 'secret/data/a';
    const error = failureAt('VAULT_SERVER_ERROR', path);
    emit({ type: 'secret-read-failed', path, error, retryAt: after(1_000), attempt: 1 });
    emit({ type: 'secret-gone', path, error: failureAt('VAULT_SECRET_DELETED', path, 404) });
    expect(lines.take()).toEqual({ 'secret-read-failed': 1, 'secret-gone': 1, 'failures-ended': 1 });
  });

  it('requests without an answer, as long as the server answers none', () => {
    const late = (path: string) => unanswered(path);
    renewalFails('database/creds/a', late(RENEW));
    rotationFails('rabbitmq/creds/a', late('rabbitmq/creds/a'));
    emit({
      type: 'token-renewal-failed',
      sequence: 1,
      error: late('auth/token/renew-self'),
      retryAt: after(1_000),
      attempt: 1,
    });
    expect(lines.take()).toEqual({ 'renewal-failed': 1 });
    // An answer shows that it was not the server.
    renewed('database/creds/a', 60_000);
    emit({ type: 'token-renewed', sequence: 1, ...renewal, ttl: 60_000 });
    expect(lines.take()).toEqual({});
    for (const path of ['rabbitmq/creds/a', 'ldap/creds/a', 'rabbitmq/creds/a'])
      rotationFails(path, late(path));
    expect(lines.shown).toMatchObject([{ code: 'rotation-failed', path: 'rabbitmq/creds/a' }]);
  });

  it('requests without an answer are the first of an outage: one end', () => {
    for (const path of ['a', 'b']) renewalFails(`database/creds/${path}`, unanswered(RENEW));
    now += 10_000;
    emit({ type: 'vault-unreachable', error: unanswered('auth/token/renew-self') });
    renewalFails('database/creds/a', unanswered(RENEW));
    expect(lines.take()).toEqual({ 'renewal-failed': 1, 'vault-unreachable': 1 });
    now += 10_000;
    emit({ type: 'vault-recovered', after: 10_000 });
    for (const path of ['a', 'b']) renewed(`database/creds/${path}`, 60_000);
    expect(lines.shown).toMatchObject([{ code: 'vault-recovered', failedAttempts: 3, affected: 2 }]);
  });

  it('a success that makes no event ends a trouble by its absence', () => {
    renewalFails('secret/data/a');
    now += 5 * MINUTE;
    renewalFails('secret/data/a');
    expect(lines.take()).toEqual({ 'renewal-failed': 2 });
  });

  it('the loss of a credential, whose cause is known, names it only', () => {
    emit({ type: 'vault-unreachable', error: SEALED });
    renewalFails('database/creds/a', SEALED);
    lines.take();
    emit({ type: 'expired', path: 'database/creds/a', serial: 1, error: SEALED });
    emit({ type: 'expired', path: 'database/creds/b', serial: 1, error: DENIED });
    emit({ type: 'expired', path: 'database/creds/c', serial: 1 });
    expect(texts()).toEqual([
      'error [default] database/creds/a: expired, no valid credential (VAULT_SEALED)',
      `error [default] database/creds/b: expired, no valid credential: ${DENIED.message}`,
      'error [default] database/creds/c: expired, no valid credential',
    ]);
  });

  it('an error of the first login, which its caller gets', () => {
    const refused = failureAt('VAULT_LOGIN_DENIED', 'auth/approle/login', 403);
    emit({ type: 'login-failed', sequence: 0, error: refused, retryAt: after(1_000), attempt: 1 });
    expect(lines.take()).toEqual({});
    const late = failureAt('VAULT_TIMEOUT', 'auth/approle/login');
    emit({ type: 'login-failed', sequence: 0, error: late, retryAt: after(1_000), attempt: 1 });
    emit({ type: 'login-failed', sequence: 0, error: late, retryAt: after(1_000), attempt: 2 });
    expect(lines.take()).toEqual({ 'login-failed': 1 });
  });

  it('a revocation that fails again, and credentials that several pools report', () => {
    const refused = {
      type: 'pool-warning',
      pool: 'pg',
      path: 'database/creds/a',
      reason: 'refused',
    } as const;
    for (let index = 0; index < 3; index++) {
      emit({ type: 'token-ended', sequence: 1, how: 'revoke-failed' });
      now += MINUTE;
    }
    for (const serial of [1, 1, 2, 1])
      emit({ ...refused, serial, message: `The login with #${serial} was rejected.` });
    expect(lines.take()).toEqual({ 'token-revoke-failed': 1, 'pool-refused': 2 });
    now += MINUTE;
    emit({ ...refused, serial: 2, message: 'The login with #2 was rejected.' });
    expect(lines.take()).toEqual({ 'pool-refused': 1 });
  });

  it('a policy that denies renewals, for any number of leases', () => {
    for (const path of ['a', 'b']) {
      emit({ type: 'warning', code: 'renewal-denied', path, message: 'The policy does not allow renewals.' });
      emit({ type: 'warning', code: 'drain-too-long', path, message: 'Consumers may need 30 s.' });
    }
    expect(lines.take()).toEqual({ 'renewal-denied': 1, 'drain-too-long': 2 });
  });

  it('a connection that was closed and opened again begins anew', () => {
    emit({ type: 'vault-unreachable', error: SEALED });
    rotationFails('database/creds/a', DENIED);
    emit({ type: 'closing' });
    emit({ type: 'closed' });
    lines.take();
    emit({ type: 'vault-unreachable', error: SEALED });
    rotationFails('database/creds/a', DENIED);
    emit({ type: 'retired', path: 'database/creds/a', serial: 1, how: 'asked' });
    expect(lines.take()).toEqual({ 'vault-unreachable': 1, 'rotation-failed': 1, retired: 1 });
  });

  it('two applications in one process, whose connections have the same name', () => {
    const other$ = new Subject<VaultEvent>();
    const other = new KeptLines(other$);
    emit({ type: 'vault-unreachable', error: SEALED });
    rotationFails('database/creds/a', DENIED);
    const denied = { path: 'database/creds/a', error: DENIED, retryAt: after(1_000), attempt: 1 };
    for (const event of [
      { type: 'vault-unreachable', error: SEALED },
      { type: 'rotation-failed', reason: 'max-ttl', ...denied },
    ] satisfies EventInit[])
      other$.next({ ...event, connection: 'default', at: new Date(now) });
    expect(other.take()).toEqual(lines.take());
    emit({ type: 'closed' });
    other$.next({ type: 'vault-recovered', after: 1_000, connection: 'default', at: new Date(now) });
    expect(other.take()).toEqual({ 'vault-recovered': 1 });
  });

  it('connections have nothing to do with each other', () => {
    for (const connection of ['one', 'two']) emit({ type: 'vault-unreachable', error: SEALED }, connection);
    emit({ type: 'vault-recovered', after: 1_000 }, 'one');
    emit({ type: 'vault-recovered', after: 1_000 }, 'two');
    expect(lines.shown.map(({ connection, code }) => `${connection} ${code}`)).toEqual([
      'one vault-unreachable',
      'two vault-unreachable',
      'one vault-recovered',
      'two vault-recovered',
    ]);
  });
});

describe('a trouble that comes and goes', () => {
  /** A server that is reachable for five seconds and unreachable for five, so often. */
  function flaps(count: number) {
    for (let round = 0; round < count; round++) {
      emit({ type: 'vault-unreachable', error: SEALED });
      renewalFails('database/creds/a', SEALED);
      now += 5_000;
      emit({ type: 'vault-recovered', after: 5_000 });
      now += 5_000;
    }
  }

  it('three outages are told, then one line in ten minutes, and the end', () => {
    flaps(3);
    expect(lines.take()).toEqual({ 'vault-unreachable': 3, 'vault-recovered': 3 });
    flaps(357);
    const told = lines.shown;
    expect(told.map(({ code }) => code)).toEqual(Array.from({ length: 6 }, () => 'vault-unreachable'));
    expect(told.map(({ times }) => times)).toEqual([4, 64, 124, 184, 244, 304]);
    expect(told[1]?.message).toMatch(
      /Wait\. It has come 64 times in 10\.5 min; as long as it comes back, one line in 10\.0 min says so\.$/,
    );
    lines.take();
    now += 10 * MINUTE;
    renewed('database/creds/a', 60_000);
    expect(texts()).toEqual([
      'log [default] the server has been reachable for 10.0 min, after 360 outages in 59.9 min, in which 357 attempts failed',
    ]);
    expect(lines.all[0]).toMatchObject({ code: 'vault-recovered', times: 360, failedAttempts: 357 });
    lines.take();
    // The next outage is told as any other one.
    flaps(1);
    expect(lines.take()).toEqual({ 'vault-unreachable': 1, 'vault-recovered': 1 });
  });

  it('an outage that lasts, after many short ones, is told', () => {
    flaps(10);
    lines.take();
    emit({ type: 'vault-unreachable', error: SEALED });
    for (let minute = 0; minute < 30; minute++, now += MINUTE) renewalFails('database/creds/a', SEALED);
    expect(lines.shown.map(({ code, times }) => [code, times])).toEqual([
      ['renewal-failed', 11],
      ['renewal-failed', 11],
      ['renewal-failed', 11],
    ]);
  });

  it('the same for the failures of a mount', () => {
    for (let round = 0; round < 200; round++, now += 5_000) {
      rotationFails('database/creds/a');
      now += 5_000;
      issued('database/creds/a');
    }
    expect(lines.take()).toEqual({ 'rotation-failed': 3 + 4, 'failures-ended': 3 });
    now += 10 * MINUTE;
    issued('database/creds/a');
    expect(texts()).toEqual([
      'log [default] database/creds/a: no more failures with VAULT_BACKEND_FAILED for 10.0 min, after they came 200 times in 33.3 min, in which 197 attempts failed',
    ]);
  });

  it('an outage each quarter of an hour is none of these', () => {
    for (let round = 0; round < 8; round++, now += 15 * MINUTE) flaps(1);
    expect(lines.take()).toEqual({ 'vault-unreachable': 8, 'vault-recovered': 8 });
  });
});
