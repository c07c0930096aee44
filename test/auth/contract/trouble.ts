import { expect } from 'vitest';
import { fromFile, type SecretSource } from '../../../lib/index.js';
import { SPACED_OUT, type BadLogin, type Prepared } from './method.js';
import type { Title } from './titles.js';
import { SECOND, type Rule, type Trial } from './trial.js';

/** Time limit of a login: four requests. */
const TIMEOUT = { timeout: SECOND };

const badLogin =
  (which: keyof Prepared['bad']) =>
  async (trial: Trial): Promise<void> => {
    const prepared = await trial.setUp();
    const bad = prepared.bad[which];
    if (!bad) throw new Error(`bad.${which} is missing, or a reason in notApplicable`);
    await refused(trial, bad);
  };

/** A request each second of the first minute (less of it on a real server) ends with this error. */
async function refused(trial: Trial, { method, input, logins = 1, ...error }: BadLogin): Promise<void> {
  const source = input === undefined ? trial.source : () => trial.note(input);
  const life = await trial.deferred({ source, ...(method && { auth: method }) });
  for (let second = 0; second < (trial.simulated ? 59 : 4); second++) {
    await trial.fails(life, error);
    await trial.world.advance(SECOND);
  }
  expect(trial.logins).toBeLessThanOrEqual(logins);
}

/** A login reads this source in vain. */
async function unread(trial: Trial, source: SecretSource, code: string, message: RegExp): Promise<void> {
  await trial.setUp();
  const life = await trial.deferred({ source, options: TIMEOUT });
  const error = await trial.fails(life, { code, hint: /./ });
  expect(error.message).toMatch(message);
  expect(trial.world.requests()).toEqual([]);
}

/** Time passes until a request succeeds. */
async function recovers(trial: Trial, life: Awaited<ReturnType<Trial['begin']>>): Promise<void> {
  for (let tries = 0; tries < 40 && life.of('login').length === 0; tries++) {
    await trial.ask(life).catch(() => undefined);
    await trial.world.advance(SECOND);
  }
  expect(life.of('login')).toHaveLength(1);
  await trial.ask(life);
}

const LOCKED_OUT = { code: 'VAULT_LOGIN_LOCKED_OUT', hint: /ends by itself/ } as const;

/** The rules on bad inputs, and on providers in trouble. */
export const trouble = {
  input: badLogin('input'),
  expired: badLogin('expired'),
  audience: badLogin('audience'),
  role: badLogin('role'),

  async skew(trial) {
    const { bad, input } = await trial.setUp();
    const known = await input();
    trial.world.clock?.stepWall(7_200 * SECOND);
    const life = await trial.deferred({ source: () => trial.note(known) });
    if (bad.skew) await trial.fails(life, bad.skew);
    else await trial.ask(life);
  },

  async mended(trial) {
    const prepared = await trial.setUp();
    const { input: wrong = '', ...error } = prepared.bad.input!;
    let current: () => string | Promise<string> = () => trial.note(wrong);
    const life = await trial.deferred({ source: () => current() });
    await trial.fails(life, error);
    current = trial.source;
    await recovers(trial, life);
  },

  missing: (trial) =>
    unread(
      trial,
      fromFile('/nonexistent/nestjs-vault/input'),
      'VAULT_SOURCE_UNREADABLE',
      /file \/nonexistent\/nestjs-vault\/input cannot be read \(ENOENT\)/,
    ),
  empty: (trial) => unread(trial, () => '', 'VAULT_SOURCE_UNREADABLE', /is unset or empty/),
  slow: (trial) =>
    unread(trial, () => new Promise(() => undefined), 'VAULT_TIMEOUT', /has not come within 4 s/),

  async locked(trial) {
    const prepared = await trial.setUp();
    const { operator } = trial.world;
    const lockOut = { lockout_threshold: '5', lockout_duration: '4s', lockout_counter_reset: '10s' };
    if (!trial.simulated)
      await operator.api('POST', `sys/auth/${trial.mount}/tune`, { user_lockout_config: lockOut });
    const life = await trial.deferred();
    const { path, body } = prepared.wrongLogin!;
    for (let other = 0; other < 5; other++) await operator.api('POST', path, body).catch(() => undefined);
    trial.clear();
    const { lockedOut = LOCKED_OUT } = prepared;
    const error = await trial.fails(life, lockedOut);
    expect(error.status).toBe(403);
    if (trial.simulated) {
      for (let second = 0; second < 60; second++) {
        await trial.ask(life).catch(() => undefined);
        await trial.world.advance(SECOND);
      }
      // Each is two requests: one with made-up inputs shows that the method is enabled.
      expect(trial.logins).toBeLessThanOrEqual(2 * SPACED_OUT);
      await trial.world.advance(15 * 60 * SECOND);
    }
    await recovers(trial, life);
  },

  async down(trial) {
    const prepared = await trial.setUp();
    const { down, up, ...error } = prepared.provider!;
    await down();
    const life = await trial.deferred();
    await trial.fails(life, error);
    await up();
    await recovers(trial, life);
  },

  async hanging(trial) {
    const prepared = await trial.setUp();
    trial.world.network.hang(prepared.login);
    const life = await trial.deferred({
      options: { ...TIMEOUT, startup: { login: 'deferred', timeout: 0 } },
    });
    await trial.fails(life, { code: 'VAULT_TIMEOUT', hint: /./ });
    trial.world.network.restore();
    await recovers(trial, life);
  },
} satisfies Partial<Record<Title, Rule>>;
