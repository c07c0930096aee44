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
import type { StaticSecret } from '../engines/static-secrets.js';
import type { VaultError } from '../errors/vault-error.js';
import { comparableJson } from '../secret/fingerprint.js';
import { Secret } from '../secret/secret.js';
import { isWatched, type Loader } from './loader.js';

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
  const names = [...loader.values].filter(([name, value]) => isWatched(value) && secrets.has(name));
  const distinct = new Set(names.map(([name]) => secrets.get(name) as StaticSecret));
  const every = loader.every === undefined ? {} : { every: loader.every };
  const updates = [...distinct].map((secret) => {
    const members = names.filter(([name]) => secrets.get(name) === secret);
    const [, { path, mount = 'secret' }] = members[0] as (typeof members)[number];
    return connection.secrets
      .watch(path, { mount, ...every }, secret)
      .pipe(map(({ data }) => ({ path, mount, members, data })));
  });
  merge(...updates)
    .pipe(
      concatMap(({ path, mount, members, data }) => {
        const refuse = (error?: VaultError) => connection.secrets.refuse(members, path, { mount }, error);
        const update = async () => {
          const changed = members.map(([name, value]) => [name, memberOf(data, value).reveal()]);
          const next = { ...plain, ...Object.fromEntries(changed) } as Config;
          if (comparableJson(next) === comparableJson(plain)) return refuse();
          const config = await check(next);
          refuse();
          plain = next;
          current.next(config);
        };
        return from(
          update().catch((error: VaultError) => {
            refuse(error);
            connection.warn(
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
      distinctUntilChanged((one, other) => comparableJson(revealed(one)) === comparableJson(revealed(other))),
    ),
  );
}

function revealed(value: unknown): unknown {
  return value instanceof Secret ? value.reveal() : value;
}
