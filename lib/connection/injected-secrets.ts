import { BehaviorSubject, concatMap, type Observable } from 'rxjs';
import { background } from '../clock/background.js';
import type { Clock } from '../clock/clock.js';
import { after, now, remaining, type Deadline } from '../clock/deadline.js';
import { encodeMount, encodePath } from '../client/path.js';
import type { StaticSecret, StaticSecrets } from '../engines/static-secrets.js';
import { listed, printable } from '../errors/printable.js';
import { VaultError } from '../errors/vault-error.js';
import type { EventInit } from '../events/events.js';
import { applySchema } from '../schema/apply-schema.js';
import type { SecretSchema } from '../schema/schema.js';
import { fingerprint } from '../secret/fingerprint.js';
import { Secret } from '../secret/secret.js';

/** A static secret as a consumer injects it. */
export interface WantedSecret {
  /** The same text for the same secret in the same form. */
  readonly token: string;
  readonly path: string;
  readonly mount?: string;
  readonly key?: string;
  readonly version?: number;
  readonly schema?: SecretSchema;
  readonly watch?: { readonly every?: number };
}

/** Milliseconds in which an answer for one consumer, as at a start, is that for another one. */
const FRESH = 10_000;

interface InjectedContext {
  readonly clock: Clock;
  readonly emit: (event: EventInit) => void;
  readonly secrets: StaticSecrets;
}

/**
 * Static secrets for decorators: each version is read once, for any number of decorators, keys and schemas. The live ones
 * of one secret share one watch until the shutdown.
 */
export class InjectedSecrets {
  readonly #context: InjectedContext;
  readonly #reads = new Map<string, Promise<StaticSecret>>();
  readonly #readAt = new WeakMap<StaticSecret, Deadline>();
  readonly #values = new Map<string, Promise<unknown>>();
  readonly #absentAt = new Map<string, Deadline>();

  constructor(context: InjectedContext) {
    this.#context = context;
  }

  /**
   * Reads a version of a secret once, for any number of consumers.
   *
   * @param budget milliseconds for retries of transient failures
   */
  readOnce(secret: Pick<WantedSecret, 'path' | 'mount' | 'version'>, budget: number): Promise<StaticSecret> {
    return once(this.#reads, idOf(secret), () => this.#read(secret, budget));
  }

  /** The value, in the wanted form. */
  read(wanted: WantedSecret, budget: number): Promise<Secret<unknown>> {
    return once(this.#values, wanted.token, async () =>
      valueOf(wanted, (await this.readOnce(wanted, budget)).data),
    );
  }

  /** The value and each different one. Resolves when it has the first one. */
  watch(wanted: WantedSecret, budget: number): Promise<Observable<Secret<unknown>>> {
    return once(this.#values, wanted.token, () => this.#follow(wanted, budget));
  }

  /** Whether the server had no secret for an optional injection; `old` if that was some time ago. */
  absenceOf(token: string): 'recent' | 'old' | undefined {
    const at = this.#absentAt.get(token);
    return at && (this.#isFresh(at) ? 'recent' : 'old');
  }

  setAbsent(token: string): void {
    this.#absentAt.set(token, now(this.#context.clock));
  }

  setPresent(token: string): void {
    this.#absentAt.delete(token);
  }

  #isFresh(at: Deadline): boolean {
    return remaining(after(at, FRESH), this.#context.clock) > 0;
  }

  async #read(
    { path, mount = 'secret', version }: Pick<WantedSecret, 'path' | 'mount' | 'version'>,
    budget: number,
  ): Promise<StaticSecret> {
    const { clock, secrets } = this.#context;
    const at = now(clock);
    const secret = await secrets.read<Record<string, unknown>>(
      path,
      { mount, ...(version !== undefined && { version }) },
      budget,
    );
    this.#readAt.set(secret, at);
    return secret;
  }

  /** A secret as it is now: a module that is loaded later does not begin with the value of the start. */
  async readFresh(
    wanted: Pick<WantedSecret, 'path' | 'mount' | 'version'>,
    budget: number,
  ): Promise<StaticSecret> {
    const reading = this.readOnce(wanted, budget);
    const secret = await reading;
    const at = this.#readAt.get(secret);
    if (at && this.#isFresh(at)) return secret;
    // Once for all that want it now.
    const id = idOf(wanted);
    if (this.#reads.get(id) === reading) this.#reads.delete(id);
    return this.readOnce(wanted, budget);
  }

  async #follow(wanted: WantedSecret, budget: number): Promise<Observable<Secret<unknown>>> {
    const { path, mount = 'secret', watch = {} } = wanted;
    const { secrets, emit } = this.#context;
    const first = await this.readFresh(wanted, budget);
    const values = new BehaviorSubject(await valueOf(wanted, first.data));
    let used = fingerprint(memberOf(first.data, wanted).reveal());
    const use = async ({ data, version }: StaticSecret) => {
      try {
        const given = fingerprint(memberOf(data, wanted).reveal());
        const value = given === used ? undefined : await valueOf(wanted, data);
        secrets.accept(values);
        if (!value) return;
        used = given;
        values.next(value);
      } catch (error) {
        secrets.refuse(values, path, { mount }, error as VaultError);
        emit({
          type: 'secret-invalid',
          path: `${encodeMount(mount)}/${encodePath(path, 'path')}`,
          ...(version !== undefined && { version }),
          error: error as VaultError,
        });
      }
    };
    const end = () => values.complete();
    secrets
      .watch(path, { mount, ...watch }, first)
      .pipe(concatMap(use))
      .subscribe({ error: end, complete: end });
    return values.asObservable();
  }
}

function idOf({ path, mount = 'secret', version }: Pick<WantedSecret, 'path' | 'mount' | 'version'>): string {
  return JSON.stringify([mount, path, version]);
}

/** Does work once for each id. A failure is not kept: the next caller tries again. */
function once<T>(kept: Map<string, Promise<unknown>>, id: string, work: () => Promise<T>): Promise<T> {
  let pending = kept.get(id) as Promise<T> | undefined;
  if (!pending) {
    // In the background context: a promise keeps the context of its creation, and this one is kept with the connection.
    pending = background(work);
    kept.set(id, pending);
    pending.catch(() => kept.delete(id));
  }
  return pending;
}

async function valueOf(wanted: WantedSecret, data: Secret<unknown>): Promise<Secret<unknown>> {
  const { path, key, schema } = wanted;
  const member = memberOf(data, wanted);
  if (!schema) return member;
  const subject = `${key === undefined ? '' : `key "${printable(key, 100)}" of the `}secret "${path}"`;
  return new Secret(await applySchema(schema, member.reveal(), subject, path));
}

/** The value of a key of a secret, or the secret itself. */
export function memberOf(
  data: Secret<unknown>,
  { path, key }: Pick<WantedSecret, 'path' | 'key'>,
): Secret<unknown> {
  if (key === undefined) return data;
  const object = (data.reveal() ?? {}) as Record<string, unknown>;
  if (Object.hasOwn(object, key)) return new Secret(object[key]);
  throw new VaultError({
    code: 'VAULT_SECRET_KEY_MISSING',
    message: `The secret "${path}" has no key "${printable(key, 100)}".`,
    hint: `Existing keys: ${listed(Object.keys(object)) || 'none'}.`,
    path,
  });
}
