import { expect, it } from 'vitest';
import type { Login, LoginContext } from '../../../lib/auth/auth-method.js';
import { logIn } from '../../../lib/session/log-in.js';
import type { SessionContext } from '../../../lib/session/session-context.js';
import type { TokenSourceWatcher } from '../../../lib/session/token-source-watcher.js';
import { failureOf } from '../../support/leaks.js';
import { HandClock } from '../../support/virtual-clock.js';

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

it('a login that takes too long names its source once, and the token that it still makes is not lost', async () => {
  const clock = new HandClock();
  let context: LoginContext | undefined;
  let succeed: (login: Login) => void = () => undefined;
  const login = (given: LoginContext) => {
    context = given;
    context.reading('file /run/secret-id');
    return new Promise<Login>((resolve) => (succeed = resolve));
  };
  const sources: (string | undefined)[] = [];
  const late: Login[] = [];
  const source = {
    readVersion: () => Promise.resolve(''),
    useVersion: () => undefined,
  } as unknown as TokenSourceWatcher;
  const session = {
    api: {},
    clock,
    options: { timeout: 1_000, auth: { login } },
  } as unknown as SessionContext;
  const failed = failureOf(
    logIn(session, source, {
      onLate: (made) => void late.push(made),
      warn: () => undefined,
      reading: (one) => void sources.push(one),
    }),
  );
  await turn();
  clock.advance(4_000);
  expect((await failed).message).toContain('/run/secret-id');
  context?.reading('file /run/other');
  const made = { accessor: 'late' } as Login;
  succeed(made);
  await turn();
  expect(sources).toEqual(['file /run/secret-id', undefined]);
  expect(late).toEqual([made]);
});
