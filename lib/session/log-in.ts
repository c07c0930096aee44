import type { Login } from '../auth/auth-method.js';
import { within } from '../clock/within.js';
import { isTransient, VaultError } from '../errors/vault-error.js';
import type { SessionContext } from './session-context.js';
import { loginTooLong } from './session-errors.js';
import type { SourceWatch } from './source-watch.js';

/** How often a login may take the time of a request: it reads a secret, and may look it up and unwrap it before. */
const REQUESTS = 4;

/**
 * Logs in once, in bounded time.
 *
 * @param late called with what comes all the same when that is over
 * @param warn told of what is no error
 */
export async function logIn(
  { api, options, clock }: SessionContext,
  source: SourceWatch,
  late: (login: Login) => void,
  warn: (message: string) => void,
): Promise<Login> {
  const limit = REQUESTS * options.timeout;
  let version = '';
  let over = false;
  const work = async () => {
    version = await source.look();
    return options.auth.login({
      send: (request, token) => api.send({ ...request, lane: 'vital' }, token),
      warn,
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
    return loginTooLong(limit);
  };
  try {
    const made = await within(login, limit, clock, tooLong, false);
    source.taken(version);
    return made;
  } catch (error) {
    // What waiting cannot help is not tried again because of a file that is as it was.
    if (!(error instanceof VaultError && isTransient(error))) source.taken(version);
    throw error;
  }
}
