import { Inject } from '@nestjs/common';
import type { Observable } from 'rxjs';
import { VaultError } from '../errors/vault-error.js';
import {
  getCredentialsToken,
  getSecretToken,
  rotationKey,
  ROTATIONS_TOKEN,
  type CredentialsTarget,
  type InjectCredentialsOptions,
  type InjectSecretOptions,
} from '../vault.tokens.js';

/**
 * The target of `@OnRotation`: that of `@InjectCredentials`, or the path of a KV secret, which is then read again at
 * intervals.
 *
 * @publicApi
 */
export type RotationTarget = CredentialsTarget | { secret: string };

/** Calls the methods of one application. */
export interface RotationCaller {
  /** Calls a method of an object after each value but the first. */
  follow(host: object, method: string | symbol, token: string, values$: Observable<unknown>): void;
}

/**
 * Calls a method after each rotation, with the new value: `DatabaseCredentials` of a role, `Credentials<T>` of a `{ path }`,
 * `Secret<T>` of a `{ secret }`. The options are those of `@InjectCredentials`, or of `@InjectSecret` with `watch`.
 *
 * All subscribers have the new value by then, and the pools of this package log in with it. The first value is no
 * rotation. A method is called once for each rotation, never twice at a time: while it runs, rotations wait, and the next
 * call gets the newest value. Its errors are logged. Calls begin after all hooks `onModuleInit` (at once, if it rotated
 * meanwhile), perhaps before a hook `onApplicationBootstrap` of the application. They end when the rotations end: at the
 * shutdown, after all hooks `onModuleDestroy`. An override with its own decorator replaces the inherited one.
 *
 * The host is a provider or controller of the default scope. In request-scoped and transient classes the method is not
 * called, and a warning says so.
 *
 * @example
 * \@OnRotation('orders')
 * async reconnect(credentials: DatabaseCredentials) {}
 *
 * \@OnRotation({ secret: 'mail' }, { key: 'password', watch: { every: 60_000 } })
 * usePassword(password: Secret) {}
 *
 * @throws VaultError as `@InjectCredentials` and `@InjectSecret` do, and `VAULT_CONFIG_INVALID` on a static method
 * @publicApi
 */
export function OnRotation(
  target: RotationTarget,
  options: InjectCredentialsOptions | InjectSecretOptions = {},
): MethodDecorator {
  const token = tokenOf(target, options);
  return (prototype, method) => {
    if (typeof prototype === 'function') throw onStatic(method);
    const key = rotationKey(method, token);
    DECORATED.set(prototype, (DECORATED.get(prototype) ?? new Set()).add(method));
    inject(prototype, key, token, (host, values$: Observable<unknown>, object) => {
      if (host.methods.has(key) || declaring(object, method) !== prototype) return;
      host.methods.set(key, (caller, object) => caller.follow(object, method, token, values$));
    });
    inject(prototype, CALLER, ROTATIONS_TOKEN, (host, caller: RotationCaller) => {
      host.caller = caller;
    });
  };
}

function tokenOf(target: RotationTarget, options: InjectCredentialsOptions | InjectSecretOptions): string {
  if (typeof target !== 'object' || target === null || !('secret' in target))
    return getCredentialsToken(target, options);
  const { watch } = (options ?? {}) as InjectSecretOptions;
  return getSecretToken(target.secret, { ...options, watch: watch || true });
}

/** The decorated methods of each prototype. */
const DECORATED = new WeakMap<object, Set<string | symbol>>();

/** The nearest prototype with the decorator on a method: an override with its own decorator replaces the inherited one. */
function declaring(object: object, method: string | symbol): object | undefined {
  let one = Object.getPrototypeOf(object) as object | null;
  while (one && !DECORATED.get(one)?.has(method)) one = Object.getPrototypeOf(one) as object | null;
  return one ?? undefined;
}

/** The property by which Nest gives a host the object that calls its methods. */
const CALLER = Symbol.for('nestjs-vault.rotation-caller');

/** What Nest has injected into one object so far; it injects in any order, and the same more than once. */
interface Host {
  caller?: RotationCaller;
  readonly methods: Map<symbol, (caller: RotationCaller, object: object) => void>;
}

const HOSTS = new WeakMap<object, Host>();

/** Nest injects into a property; its setter passes the value on, so that the object itself gets no member. */
function inject<T>(
  prototype: object,
  key: symbol,
  token: string,
  receive: (host: Host, value: T, object: object) => void,
): void {
  Object.defineProperty(prototype, key, {
    configurable: true,
    set(this: object, value: T) {
      const host: Host = HOSTS.get(this) ?? { methods: new Map() };
      HOSTS.set(this, host);
      receive(host, value, this);
      if (!host.caller) return;
      for (const [name, follow] of host.methods) {
        host.methods.set(name, () => undefined);
        follow(host.caller, this);
      }
    },
  });
  Inject(token)(prototype, key);
}

function onStatic(method: string | symbol): VaultError {
  return new VaultError({
    code: 'VAULT_CONFIG_INVALID',
    message: `@OnRotation is on the static method ${String(method)}.`,
    hint: 'Move it to a method of an object that Nest creates.',
  });
}
