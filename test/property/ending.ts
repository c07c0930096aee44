import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { VaultError } from '../../lib/errors/vault-error.js';
import { SECOND, type User } from './consumers.js';
import { isAtMaxTtl } from './invariants.js';
import type { Life } from './life.js';
import type { Exchange } from './witness.js';

export const SHUTDOWN = 5 * SECOND;
/** Time to recover after the last fault: the longest back-off, and the issue limit. */
const RECOVERY = 150 * SECOND;

/** Ends all faults, and checks that every watched path has credentials and keeps them. */
export async function recover(life: Life): Promise<void> {
  const { clock, connection, consumers } = life;
  life.heal();
  const works = () => {
    const { session, leases } = connection.status;
    return leases.every((one) => one.state === 'valid') && (leases.length === 0 || session.state === 'valid');
  };
  const end = clock.elapsed + RECOVERY;
  while (!works() && clock.elapsed < end) await life.pass(250);
  assert.ok(works(), `does not recover: ${inspect(connection.status, { depth: 5 })}`);
  for (const { path, errors, unsubscribed, released, values } of consumers.subscriptions) {
    if (errors.length > 0 || unsubscribed || released) continue;
    const current = connection.leases.current<User>(path);
    assert.ok(current, `${path} is watched, and there is nothing`);
    assert.equal(values.at(-1)?.data, current.data, `${path}: the stream is behind`);
  }
}

/** Checks that `close` ends in time, completes each stream once, and leaves nothing running. */
export async function close(life: Life, reachable: boolean): Promise<void> {
  const { clock, vault, witness, connection, consumers } = life;
  consumers.closing = true;
  const began = clock.elapsed;
  await clock.until(connection.close(), 2 * SHUTDOWN);
  const took = clock.elapsed - began;
  // No timer is shorter than a millisecond, and two have to pass.
  assert.ok(took <= SHUTDOWN + 2, `closing took ${took} ms`);
  await clock.advance(0);
  consumers.assertNoFailure();
  for (const { path, errors, completions, unsubscribed } of consumers.subscriptions) {
    const ended = errors.length + completions;
    assert.ok(ended === 1 || unsubscribed, `${path}: the stream ended ${ended} times`);
  }
  assert.equal(consumers.waiting, 0, 'a caller still waits for credentials');
  assert.equal(clock.pending, 0, 'timers are pending after close');
  assert.equal(connection.status.session.state, 'closed');
  const asked = witness.exchanges.length;
  await refusesAll(life);
  if (reachable) await nothingLeft(life);
  await clock.advance(2 * Math.max(...[...life.maxTtls.values()].flat()));
  assert.equal(clock.pending, 0, 'timers are pending long after close');
  assert.equal(witness.exchanges.length, asked, 'requests after close');
  life.heal();
  assert.equal(vault.leaseCount, 0, 'leases outlive their max TTL');
  assert.equal(vault.tokenCount, 1, 'tokens outlive their max TTL');
}

async function refusesAll({ connection, paths, clock }: Life): Promise<void> {
  for (const path of paths) {
    assert.equal(connection.leases.current(path), undefined, 'credentials are returned after close');
    const got = connection.leases.get(path).then(
      () => undefined,
      (error: unknown) => error,
    );
    const failure = await clock.until(got);
    assert.ok(failure instanceof VaultError, `get() after close: ${inspect(failure)}`);
    assert.equal(failure.code, 'VAULT_CLOSED');
  }
}

/** The server was reachable at the end, so all tokens and leases must have ended. */
async function nothingLeft(life: Life): Promise<void> {
  const { clock, vault, witness, schedule, calm } = life;
  if (schedule.revoke && schedule.login.type === 'service') {
    for (const token of await livingTokens(life)) {
      const excused = witness.exchanges.some((one) => one.token === token && leavesAlive(one));
      assert.ok(excused, 'a token of the client is valid after close');
    }
    if (calm) assert.equal(vault.leaseCount, 0, 'leases are valid after close');
  } else if (calm && schedule.login.uses === 0) {
    await clock.advance(3 * SECOND);
    const left = vault.liveLeases.filter(({ id, left: one }) => {
      const known = witness.leases.get(id);
      return one > Math.max(3 * SECOND, schedule.grace) && !(known && isAtMaxTtl(known, life));
    });
    assert.deepEqual(left, [], 'leases are valid after close');
  }
}

async function livingTokens({ vault, witness }: Life): Promise<string[]> {
  const operator = vault.transport();
  const living: string[] = [];
  for (const token of witness.tokens.keys()) {
    const headers = { 'X-Vault-Token': token };
    const path = '/v1/auth/token/lookup-self';
    const { statusCode } = await operator.send({ method: 'GET', path, headers, timeout: SECOND });
    if (statusCode === 200) living.push(token);
  }
  return living;
}

/** Exchanges that leave a token to its TTL: a false report of its end, or a failed revocation. */
function leavesAlive({ path, status, lie, outcome }: Exchange): boolean {
  if (path.endsWith('revoke-self')) return lie || outcome !== 'answered' || status !== 204;
  return lie && status === 403;
}
