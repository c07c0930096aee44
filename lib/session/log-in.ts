import type { Login } from '../auth/auth-method.js';
import { withTimeout } from '../clock/with-timeout.js';
import { isTransient, VaultError } from '../errors/vault-error.js';
import type { SessionContext } from './session-context.js';
import { loginTooLong, sourceTooLong } from './session-errors.js';
import type { TokenSourceWatcher } from './token-source-watcher.js';

/** How often a login may take the time of a request: it reads a secret, and may look it up and unwrap it before. */
const REQUESTS = 4;

/** What becomes of a login besides its token. */
export interface LoginHooks {
  /** Called with the login that comes all the same when its time is over. */
  readonly late: (login: Login) => void;
  /** Called with what is no error. */
  readonly warn: (message: string) => void;
  /** Which source of a secret is read now; nothing when it has answered. */
  readonly reading: (source: string | undefined) => void;
}

/**
 * Logs in once, in bounded time.
 */
export async function logIn(
  { api, options, clock }: SessionContext,
  source: TokenSourceWatcher,
  { late, warn, reading }: LoginHooks,
): Promise<Login> {
  const limit = REQUESTS * options.timeout;
  let version = '';
  let over = false;
  let waitsFor: string | undefined;
  const work = async () => {
    version = await source.look();
    return options.auth.login({
      send: (request, token) => api.send({ ...request, lane: 'vital' }, token),
      warn,
      reading: (what) => {
        waitsFor = what;
        if (!over) reading(what);
      },
      clock,
    });
  };
  const login = work();
  login.then(
    (made) => over && late(made),
    () => undefined,
  );
  const tooLong = () => {
    over = true;
    reading(undefined);
    return waitsFor === undefined ? loginTooLong(limit) : sourceTooLong(waitsFor, limit);
  };
  try {
    const made = await withTimeout(login, limit, clock, tooLong, false);
    source.taken(version);
    return made;
  } catch (error) {
    // What waiting cannot help is not tried again because of a file that is as it was.
    if (!(error instanceof VaultError && isTransient(error))) source.taken(version);
    throw error;
  }
}
