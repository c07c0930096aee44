import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeReal } from '../support/real-servers.js';
import { CiSystem, Cluster, local, Machines } from './environments.js';
import { API_KEY, Company, ROOT, type Env } from './world.js';

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

describeReal('one AppModule in four environments', () => {
  let company: Company;
  beforeAll(async () => {
    company = await Company.start();
  });
  afterAll(() => company?.stop());

  /** What the application injects there, and the method that it logged in with. */
  const injected = async (env: Env) => {
    const { code, output } = await company.run(
      process.execPath,
      [`${ROOT}/test/deployments/injected.mjs`],
      env,
    ).ended;
    expect({ code, output }).toMatchObject({ code: 0 });
    const [, json = ''] = /^injected (.*)$/m.exec(output) ?? [];
    const [, method] = /Logs in with (\w+), method \d of firstAvailable/.exec(output) ?? [];
    return { method, values: JSON.parse(json) as Record<string, unknown> };
  };

  it('the same is injected with `nestjs-vault dev`, in CI, in production and in Kubernetes', async () => {
    const [ci, machines, cluster] = [
      await CiSystem.start(company),
      await Machines.start(company),
      await Cluster.start(company),
    ];
    const here = await local(company);
    const results = {
      gitLab: await injected(ci.gitLab()),
      gitHub: await injected(ci.gitHub()),
      production: await injected(await machines.deliver('one')),
      kubernetes: await injected(cluster.env),
      local: await injected(here.env),
    };
    await Promise.all([ci.end(), cluster.end(), here.end()]);
    expect(Object.entries(results).map(([name, { method }]) => `${name}: ${method}`)).toEqual([
      'gitLab: jwt',
      'gitHub: jwt',
      'production: approle',
      'kubernetes: kubernetes',
      'local: approle',
    ]);
    const expected = {
      keys: ['lease', 'password', 'username'],
      path: 'database/creds/orders',
      renewable: true,
      secrets: true,
      user: true,
      printed: false,
      item: 'tea',
      found: true,
      apiKey: sha256(API_KEY),
    };
    const { local: own, ...real } = results;
    for (const { values } of Object.values(real)) expect(values).toEqual(expected);
    // The value alone is another one on a laptop.
    expect(own.values).toEqual({ ...expected, apiKey: sha256('key-for-development') });
    await company.noUserIsLeft();
  }, 180_000);
});
