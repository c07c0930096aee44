import type { CheckedLogin } from '../auth/checked-login.js';
import type { RefusedLogins } from '../auth/refused-logins.js';
import { prepareLogin } from '../auth/run-login.js';
import { withTimeout } from '../clock/with-timeout.js';
import { aborted } from '../errors/common-errors.js';
import { isTransient, VaultError } from '../errors/vault-error.js';
import type { VaultTaskMessage } from '../events/channels.js';
import type { WarningCode } from '../events/log-lines.js';
import type { SessionContext } from './session-context.js';
import { loginTooLong, sourceTooLong } from './session-errors.js';
import type { TokenSourceWatcher } from './token-source-watcher.js';

/** The time limit of other logins, in request timeouts: one may look up and unwrap a secret before the login itself. */
const REQUESTS = 4;

/** The session's part in a login. */
export interface LoginHooks {
  /** Aborted at the time limit here, and by the caller when the connection closes: no request follows. */
  readonly ending: AbortController;
  readonly refused: RefusedLogins;
  /** Called with a login that succeeds after its time limit, and with one that the method does not return. */
  readonly onUnused: (login: CheckedLogin) => void;
  /** Called with warnings. */
  readonly warn: (message: string, code: WarningCode) => void;
  /** Called with notices. */
  readonly notice: (message: string) => void;
  /** Called with the secret source that is being read; undefined when it has answered. */
  readonly reading: (source: string | undefined) => void;
  /** The login, for the diagnostics of its requests. */
  readonly task: VaultTaskMessage | undefined;
}

/**
 * Logs in once, within a time limit.
 *
 * @returns the version of the source, too, from which the token came
 */
export async function logIn(
  { api, auth, options, clock }: SessionContext,
  source: TokenSourceWatcher,
  { ending, refused, onUnused, warn, notice, reading, task }: LoginHooks,
): Promise<{ login: CheckedLogin; version: string }> {
  let limit: number | undefined;
  let timedOut = false;
  let waitsFor: string | undefined;
  const { context, run } = prepareLogin({
    clock,
    signal: ending.signal,
    refused,
    send: async (request, token) => {
      // Nothing would use the answer, and a secret or a code that serves once would be spent.
      if (ending.signal.aborted) throw aborted(request.path, false);
      return api.send({ ...request, lane: 'vital', limit, task }, token);
    },
    clientCertificate: () => api.clientCertificate(),
    warn,
    notice,
    onUnused,
    reading: (secret) => {
      waitsFor = secret;
      if (!timedOut) reading(secret);
    },
  });
  const inTime = <T>(work: Promise<T>) => {
    const most = limit ?? REQUESTS * options.timeout;
    const tooLong = () => {
      timedOut = true;
      ending.abort();
      reading(undefined);
      return waitsFor === undefined ? loginTooLong(most) : sourceTooLong(waitsFor, most);
    };
    return withTimeout(work, most, clock, tooLong, false);
  };
  const method = await inTime(auth.choose(context));
  auth.begin(method);
  limit = method.timeout;
  let version = '';
  // The version is read before the method reads its inputs, so that no later change of them is missed.
  const login = source.readVersion(context).then((known) => {
    version = known;
    return run(method);
  });
  login.then(
    (made) => timedOut && onUnused(made),
    () => undefined,
  );
  try {
    const made = await inTime(login);
    auth.keep();
    return { login: made, version };
  } catch (error) {
    // After a permanent failure, only a change of the file triggers another login.
    if (!(error instanceof VaultError && isTransient(error))) source.useVersion(version);
    throw error;
  }
}
