import { expect, it } from 'vitest';
import type { Login, LoginContext } from '../../../lib/auth/auth-method.js';
import type { CheckedLogin } from '../../../lib/auth/checked-login.js';
import { RefusedLogins } from '../../../lib/auth/refused-logins.js';
import type { SecretReader } from '../../../lib/secret/secret-source.js';
import { Secret } from '../../../lib/secret/secret.js';
import { AuthInUse } from '../../../lib/session/auth-in-use.js';
import { logIn } from '../../../lib/session/log-in.js';
import type { SessionContext } from '../../../lib/session/session-context.js';
import type { TokenSourceWatcher } from '../../../lib/session/token-source-watcher.js';
import { failureOf } from '../../support/leaks.js';
import { HandClock } from '../../support/virtual-clock.js';

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
const hanging = (description: string): SecretReader => ({
  description,
  read: () => new Promise<never>(() => undefined),
});

it('a login that takes too long names its source once, and the token that it still makes is not lost', async () => {
  const clock = new HandClock();
  let context = undefined as LoginContext | undefined;
  let succeed: (login: Login) => void = () => undefined;
  const login = (given: LoginContext) => {
    context = given;
    void context.read(hanging('file /run/secret-id'));
    return new Promise<Login>((resolve) => (succeed = resolve));
  };
  const sources: (string | undefined)[] = [];
  const late: CheckedLogin[] = [];
  const source = {
    readVersion: () => Promise.resolve(''),
    useVersion: () => undefined,
  } as unknown as TokenSourceWatcher;
  const session = {
    api: {},
    clock,
    options: { timeout: 1_000 },
    auth: new AuthInUse({ name: 'slow', login }),
  } as unknown as SessionContext;
  const failed = failureOf(
    logIn(session, source, {
      ending: new AbortController(),
      refused: new RefusedLogins(clock),
      onUnused: (made) => void late.push(made),
      warn: () => undefined,
      notice: () => undefined,
      reading: (one) => void sources.push(one),
      task: undefined,
    }),
  );
  await turn();
  expect(context?.signal.aborted).toBe(false);
  clock.advance(4_000);
  expect((await failed).message).toContain('/run/secret-id');
  expect(context?.signal.aborted).toBe(true);
  void context?.read(hanging('file /run/other'));
  succeed({ token: new Secret('late'), ttl: 60, own: true, accessor: 'late' });
  await turn();
  expect(sources).toEqual(['file /run/secret-id', undefined]);
  expect(late.map(({ accessor }) => accessor)).toEqual(['late']);
});
