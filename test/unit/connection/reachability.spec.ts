import { beforeEach, expect, it } from 'vitest';
import { Reachability } from '../../../lib/connection/reachability.js';
import { VaultError, type VaultErrorCode } from '../../../lib/errors/vault-error.js';
import { VirtualClock } from '../../../lib/testing/index.js';

const TIMEOUT = 10_000;

let clock: VirtualClock;
let reported: string[];
let reachability: Reachability;

beforeEach(() => {
  clock = new VirtualClock();
  reported = [];
  reachability = new Reachability(clock, TIMEOUT, {
    onUnreachable: ({ path }) => reported.push(`unreachable at ${path}`),
    onRecovered: (after) => reported.push(`recovered after ${after}`),
  });
});

/** A request that ends now. */
const fails = (path: string, took = TIMEOUT, code: VaultErrorCode = 'VAULT_TIMEOUT', init = {}) => {
  const error = new VaultError({ code, message: 'x', hint: 'x', path, outcomeUnknown: true, ...init });
  reachability.record({ path, took, error });
};
const answers = (path = 'secret/data/a') => reachability.record({ path, took: 1 });

it('a request about a token needs the server alone', async () => {
  fails('auth/token/renew-self');
  await clock.advance(5_000);
  fails('auth/token/renew-self');
  expect(reachability.reachable).toBe(false);
  answers();
  expect(reachability.reachable).toBe(true);
  expect(reported).toEqual(['unreachable at auth/token/renew-self', 'recovered after 5000']);
});

it('a database that hangs is no outage of the server', () => {
  for (let time = 0; time < 5; time++)
    for (const path of ['database/creds/a', 'database/creds/b', 'sys/leases/renew']) fails(path);
  expect(reported).toEqual([]);
});

it('two mounts without an answer are an outage, unless another request has got one meanwhile', async () => {
  await clock.advance(60_000);
  fails('database/creds/a');
  answers();
  fails('auth/approle/login', TIMEOUT);
  await clock.advance(TIMEOUT + 1);
  expect(reported).toEqual([]);
  fails('database/creds/a');
  fails('secret/data/a');
  expect(reported).toEqual(['unreachable at secret/data/a']);
});

it('a limit that is short, or a request that waits for a socket, shows nothing', () => {
  fails('auth/token/lookup-self', 4_999);
  fails('auth/token/lookup-self', TIMEOUT, 'VAULT_TIMEOUT', { outcomeUnknown: false });
  expect(reported).toEqual([]);
});

it('an error of the server is an answer; that of a proxy shows nothing', () => {
  fails('secret/data/a', 1, 'VAULT_SEALED', { status: 503 });
  fails('secret/data/a', 1, 'VAULT_NOT_VAULT', { status: 502 });
  expect(reported).toEqual(['unreachable at secret/data/a']);
  fails('secret/data/a', 1, 'VAULT_PERMISSION_DENIED', { status: 403 });
  expect(reported).toEqual(['unreachable at secret/data/a', 'recovered after 0']);
});
