import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { barePath, encodeApiPath, encodeMount, encodePath, encodeSegment } from '../../lib/client/path.js';
import { resolveOptions } from '../../lib/config/resolved-options.js';
import {
  appRole,
  fromEnv,
  fromFile,
  fromWrappedToken,
  getCredentialsToken,
  getSecretToken,
  token,
  VaultError,
  VaultModule,
} from '../../lib/index.js';
import { attempt } from './attempt.js';
import { World } from './consumers.js';
import { expectFit } from './fit.js';
import { counted, inputs, seed } from './inputs.js';
import { MISPLACED, ODD_VALUES } from './odd-values.js';
import { noStackTraces } from './no-stack-traces.js';

const LIMIT = 600_000;
/** Share of all inputs. */
const SHARES = { options: 0.2, names: 0.2 };

noStackTraces();
let world: World;
beforeAll(async () => void (world = await new World().start()));
afterAll(() => world.close());

const OPTIONS = {
  address: 'https://vault.test',
  auth: appRole({ roleId: 'app', secretId: 's' }),
  namespace: 'team',
  tls: { serverName: 'vault.test' },
  timeout: 1_000,
  retry: { initialDelay: 1 },
  renewal: { at: 0.5 },
  startup: { login: 'deferred' },
  shutdown: { revoke: true },
  kvVersion: 2,
  concurrency: 8,
};
const GROUPS = ['tls', 'retry', 'renewal', 'startup', 'shutdown'] as const;

const oddOptions = fc.oneof(
  { weight: 1, arbitrary: ODD_VALUES },
  {
    weight: 4,
    arbitrary: fc
      .tuple(
        fc.dictionary(fc.constantFrom(...Object.keys(OPTIONS), 'tokn', MISPLACED.slice(0, 3)), ODD_VALUES, {
          maxKeys: 3,
        }),
        fc.constantFrom(...GROUPS),
        fc.dictionary(
          fc.constantFrom(
            'ca',
            'cert',
            'key',
            'passphrase',
            'serverName',
            'at',
            'jitter',
            'timeout',
            'revoke',
            'x',
          ),
          ODD_VALUES,
          {
            maxKeys: 2,
          },
        ),
      )
      .map(([members, group, inner]) => ({ ...OPTIONS, [group]: inner, ...members })),
  },
);

it(
  'options',
  () => {
    const numRuns = Math.ceil(inputs * SHARES.options);
    fc.assert(
      fc.property(oddOptions, ODD_VALUES, (options, odd) => {
        const resolved = attempt(() => resolveOptions(options as never));
        if (resolved) expect(Object.isFrozen(resolved)).toBe(true);
        // The name of a connection is no secret.
        attempt(() => resolveOptions({ ...OPTIONS, timeout: 0 } as never, odd as string), true);
        attempt(() => VaultModule.forRoot({ ...OPTIONS, name: odd } as never));
        for (const make of [appRole, token, fromEnv, fromFile, fromWrappedToken] as ((
          odd: never,
        ) => unknown)[])
          attempt(() => make(odd as never));
        attempt(() => appRole({ roleId: 'r', secretId: 's', mountPath: odd, namespace: odd } as never));
      }),
      { seed, numRuns },
    );
    counted('options', numRuns);
  },
  LIMIT,
);

const parts = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom('a', 'secret', 'data', '', '..', '.', '%2e%2e', '/', '?', '#', '\\', 'v1'),
  },
  { weight: 2, arbitrary: fc.string({ unit: 'binary', maxLength: 6 }) },
  { weight: 1, arbitrary: fc.string({ unit: 'grapheme', maxLength: 6 }) },
);
const names = fc.oneof(
  { weight: 6, arbitrary: fc.array(parts, { maxLength: 6 }).map((all) => all.join('/')) },
  { weight: 2, arbitrary: fc.array(parts, { maxLength: 4 }).map((all) => all.join('')) },
  { weight: 1, arbitrary: fc.tuple(parts, fc.nat(9_000)).map(([part, count]) => part.repeat(count)) },
  { weight: 1, arbitrary: ODD_VALUES },
) as fc.Arbitrary<string>;

/** The calls of KV by the part of the path that they use. */
const KV_CALLS: readonly [part: string, (name: string) => Promise<unknown>][] = [
  ['data', (name) => world.connection.secrets.write(name, { a: 1 })],
  ['data', (name) => world.connection.secrets.write(name, { a: 1 }, { cas: 1 })],
  ['data', (name) => world.connection.secrets.patch(name, { a: 1 })],
  ['data', (name) => world.connection.secrets.update(name, () => ({ a: 1 }))],
  ['data', (name) => world.connection.secrets.delete(name)],
  ['delete', (name) => world.connection.secrets.delete(name, { versions: [1] })],
  ['undelete', (name) => world.connection.secrets.undelete(name, [1])],
  ['destroy', (name) => world.connection.secrets.destroy(name, [1])],
  ['metadata', (name) => world.connection.secrets.metadata(name)],
  ['metadata', (name) => world.connection.secrets.writeMetadata(name, { maxVersions: 1 })],
  ['metadata', (name) => world.connection.secrets.deleteMetadata(name)],
  ['subkeys', (name) => world.connection.secrets.subkeys(name)],
];

/** A name leads to its own path only. */
function expectSame(encoded: string | undefined, name: string): void {
  if (encoded === undefined) return;
  const url = new URL(`http://vault.test/v1/${encoded}`);
  expect([decodeURIComponent(url.pathname), url.search, url.hash]).toEqual([`/v1/${name}`, '', '']);
}

it(
  'names',
  async () => {
    const numRuns = Math.ceil(inputs * SHARES.names);
    await fc.assert(
      fc.asyncProperty(names, names, fc.constantFrom(...KV_CALLS), async (name, other, [part, call]) => {
        expectSame(
          attempt(() => encodePath(name, 'path')),
          name,
        );
        expectSame(
          attempt(() => encodeApiPath(name)),
          name,
        );
        expectSame(
          attempt(() => encodeSegment(name, 'role')),
          name,
        );
        expectSame(
          attempt(() => encodeMount(name)),
          barePath(name),
        );
        attempt(() => getCredentialsToken(name, { mount: other }));
        attempt(() => getCredentialsToken({ path: name }));
        attempt(() => getSecretToken(name, { mount: other, key: other }));
        attempt(() => resolveOptions({ ...OPTIONS, namespace: name } as never));
        await expectRefusedOrSent(name, () => world.connection.client.read(name));
        const full = typeof name === 'string' ? `secret/data/${name}` : '';
        await expectRefusedOrSent(full, () =>
          world.clock.until(world.connection.secrets.read(name, { kvVersion: 2 }, 0)),
        );
        await expectRefusedOrSent(typeof name === 'string' ? `secret/${part}/${name}` : '', () =>
          world.clock.until(Promise.resolve(name).then(call)),
        );
        if (part !== 'metadata') return;
        // A folder may end in a slash, which is not sent; `/` is the root.
        const folder = typeof name === 'string' && name !== '/' ? `/${name.replace(/\/$/, '')}` : '';
        await expectRefusedOrSent(`secret/metadata${folder}`, () =>
          world.clock.until(world.connection.secrets.list(name)),
        );
      }),
      { seed, numRuns },
    );
    counted('names', numRuns);
  },
  LIMIT,
);

async function expectRefusedOrSent(path: string, ask: () => Promise<unknown>): Promise<void> {
  world.server.asked.length = 0;
  await ask().catch((error: unknown) => {
    expectFit(error);
    expect(error).toBeInstanceOf(VaultError);
  });
  // As time passes while it waits, the token is renewed.
  const asked = world.server.asked.filter((one) => one.path !== '/v1/auth/token/renew-self');
  for (const request of asked)
    expectSame(request.path.slice('/v1/'.length).replace(/\?list=true$/, ''), path);
}
