import type { AuthMethod } from '../../lib/auth/auth-method.js';
import { RefusedLogins } from '../../lib/auth/refused-logins.js';
import { prepareLogin } from '../../lib/auth/run-login.js';
import type { ApiRequest } from '../../lib/client/api.types.js';
import { systemClock } from '../../lib/clock/clock.js';

const AUTH = { client_token: 'canary-token', accessor: 'a', lease_duration: 60, renewable: true, whole: {} };

/** The request that a method logs in with. */
export async function loginSent(method: AuthMethod): Promise<ApiRequest> {
  let sent: ApiRequest | undefined;
  await prepareLogin({
    clock: systemClock,
    signal: new AbortController().signal,
    refused: new RefusedLogins(systemClock),
    warn: () => undefined,
    notice: () => undefined,
    reading: () => undefined,
    clientCertificate: () => Promise.resolve(''),
    onUnused: () => undefined,
    send: async (request) => {
      sent = request;
      return { auth: AUTH, warnings: [], wellFormed: true, sentAt: { monotonic: 0, wall: 0 } } as never;
    },
  }).run(method);
  return sent as ApiRequest;
}
