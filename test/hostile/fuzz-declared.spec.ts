import 'reflect-metadata';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  getCredentialsToken,
  getSecretToken,
  InjectCredentials,
  InjectSecret,
  OnRotation,
  vaultConfig,
} from '../../lib/index.js';
import { attempt } from './attempt.js';
import { counted, inputs, seed } from './inputs.js';
import { noStackTraces } from './no-stack-traces.js';
import { MISPLACED, ODD_VALUES } from './odd-values.js';

const LIMIT = 600_000;
/** Share of all inputs. */
const SHARE = 0.1;

noStackTraces();

/** Mostly objects with members of these names, each right or odd. */
function oddMembers(right: Readonly<Record<string, unknown>>): fc.Arbitrary<unknown> {
  const members = fc.dictionary(fc.constantFrom(...Object.keys(right), MISPLACED.slice(0, 3)), ODD_VALUES, {
    maxKeys: 2,
  });
  return fc.oneof(
    { weight: 1, arbitrary: ODD_VALUES },
    { weight: 4, arbitrary: members.map((odd) => ({ ...right, ...odd })) },
  );
}

const schema = { '~standard': { version: 1, vendor: 'test', validate: (value: unknown) => ({ value }) } };
const secretOptions = oddMembers({ key: 'password', mount: 'secret', schema, watch: { every: 2_000 } });
const targets = oddMembers({ path: 'pki/issue/app', parameters: { common_name: 'app' } });
const rotations = oddMembers({ secret: 'app' });
const configValues = oddMembers({ path: 'app', key: 'password', mount: 'secret', plain: true, default: 1 });

it(
  'declarations of secrets, credentials and rotations',
  () => {
    const numRuns = Math.ceil((inputs * SHARE) / 2);
    fc.assert(
      fc.property(secretOptions, targets, rotations, ODD_VALUES, (options, target, rotation, odd) => {
        // Paths, keys and mounts are names, which an error shows.
        attempt(() => getSecretToken('app', options as never), true);
        attempt(() => getSecretToken(odd as never, options as never), true);
        attempt(() => InjectSecret('app', options as never), true);
        attempt(() => getCredentialsToken(target as never, odd as never), true);
        attempt(() => InjectCredentials(target as never), true);
        attempt(() => getCredentialsToken({ path: 'pki/issue/app', parameters: odd as never }));
        attempt(() => OnRotation(rotation as never, options as never), true);
        attempt(() => OnRotation(target as never, odd as never), true);
      }),
      { seed, numRuns },
    );
    counted('declarations', numRuns);
  },
  LIMIT,
);

it(
  'calls of vaultConfig',
  () => {
    const numRuns = Math.ceil((inputs * SHARE) / 2);
    const calls = fc
      .tuple(
        oddMembers({ schema, every: 2_000 }),
        fc.dictionary(fc.constantFrom('url', 'password'), configValues),
      )
      .map(([members, values]) =>
        typeof members === 'object' && members !== null ? { vault: undefined, values, ...members } : members,
      );
    fc.assert(
      fc.property(calls, (given) => {
        const load = attempt(() => vaultConfig(given as never), true);
        if (load) expect(typeof load).toBe('function');
        attempt(() => vaultConfig({ vault: undefined, values: { url: { path: 'a', default: given } } }));
      }),
      { seed, numRuns },
    );
    counted('calls of vaultConfig', numRuns);
  },
  LIMIT,
);
