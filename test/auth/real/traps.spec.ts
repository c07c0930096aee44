import { afterAll, beforeAll, expect, it } from 'vitest';
import { realWorlds } from '../../conformance/real-world.js';
import type { Worlds } from '../../conformance/world.js';
import { anyIssuer } from '../../support/jwts.js';
import { describeReal, realServer } from '../../support/real-servers.js';
import { jwtUnderTest } from '../contract/methods/jwt.js';
import { kubernetesUnderTest } from '../contract/methods/kubernetes.js';
import { SECOND, Trial } from '../contract/trial.js';

const { kind } = realServer;

describeReal(`traps of logins with a JWT, on ${realServer.name}`, () => {
  let worlds: Worlds;
  beforeAll(async () => {
    worlds = await realWorlds();
  });
  afterAll(() => worlds?.stop());

  /** One test with a world of its own. */
  const trap = (title: string, method: typeof jwtUnderTest, test: (trial: Trial) => Promise<void>) =>
    it.concurrent(`${method.name}: ${title}`, async () => {
      const trial = new Trial(await worlds.open(), method, kind);
      await test(trial).finally(() => trial.end());
    });

  for (const method of [jwtUnderTest, kubernetesUnderTest]) {
    trap('the role is deleted and recreated: a login, and no gap', method, async (trial) => {
      await trial.setUp({ ttl: 9, maxTtl: 600 });
      const { operator } = trial.world;
      const role = `auth/${trial.mount}/role/app`;
      const { data } = await operator.api('GET', role);
      const life = await trial.begin();
      await operator.api('DELETE', role);
      // The server answers the renewal with 500, and the login with 400.
      await trial.until(() => life.of('login-failed').length > 0, 12 * SECOND);
      const { error } = life.of('login-failed')[0]!;
      expect(error).toMatchObject({ code: 'VAULT_ROLE_NOT_FOUND', status: 400 });
      trial.errors.push(error);
      await operator.api('POST', role, data);
      await trial.until(() => life.published.length > 1, 8 * SECOND);
      expect(life.of('login')).toHaveLength(2);
      expect(life.of('expired')).toEqual([]);
      expect(await trial.world.isValid(life.published[1]!)).toBe(true);
    });
  }

  trap('changed policies do not end the renewals', jwtUnderTest, async (trial) => {
    await trial.setUp({ ttl: 4, maxTtl: 600 });
    const life = await trial.begin();
    const change = {
      user_claim: 'sub',
      bound_audiences: ['vault'],
      role_type: 'jwt',
      token_policies: ['other'],
    };
    await trial.world.operator.api('POST', `auth/${trial.mount}/role/app`, change);
    await trial.until(() => life.of('token-renewed').length > 1, 12 * SECOND);
    expect(life.of('login')).toHaveLength(1);
  });

  trap('a JWT with `exp` alone is not yet valid, and the hint says so', jwtUnderTest, async (trial) => {
    await trial.setUp();
    const exp = Math.floor(Date.now() / 1_000) + 3_600;
    const only = anyIssuer().sign({ sub: 'job-7', aud: 'vault', exp });
    const life = await trial.deferred({ source: () => trial.note(only) });
    await trial.fails(life, {
      code: 'VAULT_LOGIN_INPUT_INVALID',
      hint: /`exp` alone.*Let the issuer add `iat`/,
    });
  });
});
