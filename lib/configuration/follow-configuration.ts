import { isDeepStrictEqual, types } from 'node:util';
import {
  concatMap,
  defer,
  distinctUntilChanged,
  from,
  map,
  merge,
  type BehaviorSubject,
  type Observable,
} from 'rxjs';
import type { VaultConnection } from '../connection/vault-connection.js';
import { memberOf } from '../connection/injected-secrets.js';
import { isAbsent } from '../discovery/resolve-injection.js';
import type { StaticSecret } from '../engines/static-secrets.js';
import type { VaultError } from '../errors/vault-error.js';
import { comparableJson } from '../secret/fingerprint.js';
import { Secret } from '../secret/secret.js';
import { defaultOf, isWatched, type Loader } from './loader.js';
import type { VaultConfigValue } from './vault-config.types.js';

type Config = Readonly<Record<string, unknown>>;

/** What a loader has read. */
export interface Loaded {
  /** The values, before the schema. */
  readonly plain: Config;
  /** The secret of each value that has one. */
  readonly secrets: ReadonlyMap<string, StaticSecret>;
  /** The valid configuration. */
  readonly current: BehaviorSubject<Config>;
  /** @throws VaultError if the values are not valid */
  readonly check: (plain: Config) => Promise<Config>;
}

/**
 * Follows the watched values as long as the connection lives, each secret once. New values that are not valid are
 * reported, and the configuration keeps the last valid ones.
 */
export function followSecrets(loader: Loader, connection: VaultConnection, loaded: Loaded): void {
  const { secrets, current, check } = loaded;
  let { plain } = loaded;
  // With the values that were refused: two secrets may be valid together only.
  let latest = plain;
  const watched = [...loader.values].filter(([, value]) => isWatched(value));
  const bySecret = new Map<string, typeof watched>();
  for (const entry of watched) {
    const id = JSON.stringify([entry[1].mount ?? 'secret', entry[1].path]);
    bySecret.set(id, [...(bySecret.get(id) ?? []), entry]);
  }
  const every = loader.every === undefined ? {} : { every: loader.every };
  const updates = [...bySecret.values()].map((members) => {
    const [name, { path, mount = 'secret' }] = members[0] as (typeof members)[number];
    return connection.secrets
      .watch<unknown>(path, { mount, ...every }, secrets.get(name) ?? 'absent')
      .pipe(map(({ data }) => ({ path, mount, members, data })));
  });
  merge(...updates)
    .pipe(
      concatMap(({ path, mount, members, data }) => {
        const update = async () => {
          const changed = Object.fromEntries(
            members.map(([name, value]) => [name, valueIn(data, name, value)]),
          ) as Config;
          const before = latest;
          latest = { ...latest, ...changed };
          if (comparableJson(latest) === comparableJson(before)) return;
          const alone = { ...plain, ...changed };
          const accept = async (next: Config) => {
            const config = await check(next);
            plain = next;
            current.next(config);
          };
          try {
            await accept(latest);
            for (const one of bySecret.values()) connection.secrets.accept(one);
          } catch (error) {
            if (comparableJson(alone) === comparableJson(latest)) throw error;
            await accept(alone);
            connection.secrets.accept(members);
          }
        };
        return from(
          update().catch((error: VaultError) => {
            connection.secrets.refuse(members, path, { mount }, error);
            connection.warn(
              'configuration-kept',
              `the configuration keeps its values, those now at ${path} are not valid: ${error.message}`,
            );
          }),
        );
      }),
    )
    .subscribe({ error: (error: unknown) => current.error(error), complete: () => current.complete() });
}

/** One value: the current one at once, and each later one that differs. It holds what printers may show. */
export function valueOf$(current: BehaviorSubject<Config>, name: string): Observable<unknown> {
  return defer(() =>
    current.pipe(
      map((config) => config[name]),
      distinctUntilChanged((one, other) => isSame(revealed(one), revealed(other))),
    ),
  );
}

/** A key that a secret does not have any more has its default, as at the start. */
function valueIn(data: Secret<unknown>, name: string, value: VaultConfigValue): unknown {
  try {
    return memberOf(data, value).reveal();
  } catch (error) {
    if (!('default' in value) || !isAbsent(error)) throw error;
    return defaultOf(name, value);
  }
}

/** Neither comparison is enough: only JSON shows the text of a URL, and only the other one the members of a Set. */
function isSame(one: unknown, other: unknown): boolean {
  const json = comparableJson(one);
  if (!isDeepStrictEqual(one, other) || json !== comparableJson(other)) return false;
  // An object that shows no members, as a KeyObject, may differ.
  return Object.is(one, other) || json !== '{}' || types.isSet(one) || types.isMap(one) || isPlain(one);
}

function isPlain(value: unknown): boolean {
  return Object.getPrototypeOf(value) === Object.prototype;
}

function revealed(value: unknown): unknown {
  return value instanceof Secret ? value.reveal() : value;
}
