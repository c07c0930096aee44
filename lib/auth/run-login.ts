import type { ApiAuth, ApiRequest, ApiResponse } from '../client/api.types.js';
import { isToken } from '../client/answer-members.js';
import { encodePath } from '../client/path.js';
import type { Clock } from '../clock/clock.js';
import { now, type Deadline } from '../clock/deadline.js';
import { malformed, unexpected } from '../errors/common-errors.js';
import { VaultError } from '../errors/vault-error.js';
import type { WarningCode } from '../events/log-lines.js';
import { isSecret, Secret } from '../secret/secret.js';
import { readSecret } from '../secret/secret-source.js';
import type { AuthMethod, Login, LoginContext } from './auth-method.js';
import { checkLogin, type CheckedLogin } from './checked-login.js';
import type { RefusedLogins } from './refused-logins.js';
import { SecondFactor } from './second-factor.js';
import { lookUp } from './token-look-up.js';

/** The session's part in a login. */
export interface LoginParts {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly refused: RefusedLogins;
  readonly send: (request: ApiRequest, token?: Secret) => Promise<ApiResponse>;
  readonly warn: (message: string, code: WarningCode) => void;
  readonly notice: (message: string) => void;
  readonly clientCertificate: LoginContext['clientCertificate'];
  /** Sets the source that is being read; undefined after its answer. */
  readonly reading: (source: string | undefined) => void;
  /** Called with each token that the method obtained and did not return: without this it would live on. */
  readonly onUnused: (login: CheckedLogin) => void;
}

/** A login whose method may still be chosen. */
export interface PreparedLogin {
  readonly context: LoginContext;
  /**
   * Logs in once.
   *
   * @throws VaultError also where the method throws another error, or returns something else than a login
   */
  readonly run: (method: AuthMethod) => Promise<CheckedLogin>;
}

/** Prepares one login with any method. */
export function prepareLogin(parts: LoginParts): PreparedLogin {
  const started = now(parts.clock);
  const times = new WeakMap<Secret, Deadline>();
  const obtained: Login[] = [];
  const sentAt = (token: Secret | undefined) => (token && times.get(token)) ?? started;
  const context = contextOf(parts, times, obtained);
  return {
    context,
    async run(method) {
      const check = (login: Login) => checkLogin(login, method.name, sentAt);
      let used: CheckedLogin | undefined;
      try {
        used = check(await method.login(context));
        return used;
      } catch (cause) {
        throw cause instanceof VaultError ? cause : unexpected(cause, `The login by "${method.name}"`);
      } finally {
        for (const login of obtained) if (login.token !== used?.token) parts.onUnused(check(login));
      }
    },
  };
}

/**
 * @param times gets the time of the request for each token
 * @param obtained gets each login that succeeded
 */
function contextOf(
  { send, warn, notice, reading, refused, signal, clock, clientCertificate }: LoginParts,
  times: WeakMap<Secret, Deadline>,
  obtained: Login[],
): LoginContext {
  const context: LoginContext = {
    signal,
    now: () => clock.wall(),
    warn: (message) => warn(message, 'auth-method-warning'),
    notice,
    clientCertificate,
    read(source, { namespace, name, wrappedAt } = { name: 'secret' }) {
      const input = { name, ...(wrappedAt && { wrappedAt }) };
      const place = namespace === undefined ? {} : { namespace };
      const unwrap: typeof send = (request, token) => send({ ...place, ...request }, token);
      const report = (message: string, code: WarningCode = 'auth-method-warning') => warn(message, code);
      return readSecret(source, { send: unwrap, warn: report, reading, input }, input.name);
    },
    async logIn(path, body, { namespace, explain, totp, version } = {}) {
      const place = { path: encodePath(path, 'path'), ...(namespace !== undefined && { namespace }) };
      const code = totp === undefined ? undefined : await context.read(totp, { name: 'totp' });
      const factor = new SecondFactor(place, refused, code);
      const request = { ...place, body: revealed(body) };
      const first = await refused.guard({ ...request, version }, () =>
        send({ ...request, method: 'POST', uncached: true, ...(explain && { explain }) }).catch(denied),
      );
      const answer = await factor.complete(first, send);
      for (const warning of answer.warnings) warn(warning, 'server-warning');
      const login = fromAuth(authOf(answer, place.path), namespace);
      times.set(login.token, answer.sentAt);
      obtained.push(login);
      return login;
    },
    async lookUp(token, options) {
      const { sentAt, ...login } = await lookUp(send, token, options);
      if (token) times.set(token, sentAt);
      return login;
    },
  };
  return context;
}

function revealed(body: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(body).map(([name, value]) => [name, isSecret(value) ? value.reveal() : value]),
  );
}

/** Codes of a 403, which for a login says nothing of a token or a policy. */
const DENIED = new Set<unknown>(['VAULT_TOKEN_INVALID', 'VAULT_PERMISSION_DENIED']);

function denied(error: unknown): never {
  if (!(error instanceof VaultError) || error.status !== 403 || !DENIED.has(error.code)) throw error;
  const { path, status } = error;
  throw new VaultError({
    code: 'VAULT_LOGIN_DENIED',
    message: `The server denies the login at ${path ?? 'its path'}.`,
    hint:
      'Check that the auth method is enabled at that mount in that namespace, and that the server has not locked the ' +
      'user or role out after repeated failed logins, and allows logins from the network of this machine (token_bound_cidrs).',
    status,
    ...(path !== undefined && { path }),
  });
}

/** An answer to a login without a valid token is a failed login. Only root tokens do not expire. */
function authOf({ auth, wellFormed }: ApiResponse, path: string): ApiAuth {
  if (wellFormed && isToken(auth?.client_token) && auth.lease_duration > 0) return auth;
  throw malformed(path);
}

function fromAuth(auth: ApiAuth, namespace: string | undefined): Login & { token: Secret } {
  return {
    token: new Secret(auth.client_token),
    accessor: auth.accessor,
    ttl: auth.lease_duration,
    renewable: auth.renewable,
    uses: auth.num_uses ?? 0,
    type: auth.token_type ?? 'service',
    own: true,
    ...(namespace !== undefined && { namespace }),
  };
}
