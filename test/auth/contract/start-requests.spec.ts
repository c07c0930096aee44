import { expect, it, type TestContext } from 'vitest';
import { appRole, fromWrappedToken, type AuthMethod } from '../../../lib/index.js';
import { resolveOptions } from '../../../lib/config/resolved-options.js';
import { VaultConnection } from '../../../lib/connection/vault-connection.js';
import { EventBus } from '../../../lib/events/events.js';
import { SimulatedVault, VirtualClock } from '../../../lib/testing/index.js';
import { METHODS } from './methods/index.js';
import { Trial, worldsFor } from './trial.js';

const READS = 5;

/** The requests at the server, other than the reads. */
type Requests = readonly string[];

declare module '@vitest/runner' {
  interface TaskMeta {
    /** For the table of requests at the start. */
    startRequests?: { method: string; requests: Requests };
  }
}

const note = (task: TestContext['task'], method: string, requests: Requests) =>
  void (task.meta.startRequests = { method, requests });

it.for(METHODS)('the start with $name: one login and a request for each secret', async (method, { task }) => {
  const kind = method.servers.includes('openbao') ? 'openbao' : 'vault';
  const worlds = await worldsFor(method, kind)();
  const trial = new Trial(await worlds.open(), method, kind);
  try {
    const { requests: logins = 1, login } = await trial.setUp();
    const source = await trial.source();
    trial.world.clear();
    const life = await trial.deferred({ source });
    await Promise.all(Array.from({ length: READS }, () => trial.ask(life)));
    const seen = trial.world.requests().map(({ method: verb, path }) => `${verb} ${path}`);
    expect(seen).toHaveLength(logins + READS);
    expect(trial.logins).toBe(logins);
    const first = trial.world.requests(login).map(({ method: verb, path }) => `${verb} ${path}`);
    note(
      task,
      method.name,
      first.map((one) => one.replace(trial.mount, method.type)),
    );
  } finally {
    await trial.end();
  }
});

it.for<[string, (vault: SimulatedVault) => AuthMethod, Requests]>([
  [
    'appRole with fromWrappedToken',
    (vault) => {
      const { roleId, wrappedSecretId } = vault.appRole('app');
      return appRole({ roleId, secretId: fromWrappedToken(wrappedSecretId()) });
    },
    ['POST sys/wrapping/lookup', 'POST sys/wrapping/unwrap', 'POST auth/approle/login'],
  ],
])('the start with %s', async ([name, auth, logins], { task }) => {
  const clock = new VirtualClock();
  const vault = new SimulatedVault({ clock });
  const options = resolveOptions({ address: 'http://localhost:8200', auth: auth(vault) });
  const connection = new VaultConnection(options, new EventBus(), clock, vault.transport());
  vault.clearHistory();
  const reads = Array.from({ length: READS }, () => connection.client.read('auth/token/lookup-self'));
  await clock.until(Promise.all(reads));
  const seen = vault.history.map(({ method, path }) => `${method} ${path.replace('/v1/', '')}`);
  expect(seen.slice(0, logins.length)).toEqual(logins);
  expect(seen).toHaveLength(logins.length + READS);
  note(task, name, logins);
  await clock.until(connection.close());
});
