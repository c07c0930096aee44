import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { describeReal } from '../support/real-servers.js';
import { Machines } from './environments.js';
import { UnitMachine } from './unit-machine.js';
import { API_KEY, Company, readSample } from './world.js';

const unit = readSample('17-production/orders@.service');
const of = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(unit)?.[1] ?? '';

describe('the unit of systemd', () => {
  it('delivers before each start, and gives the time of the shutdown', () => {
    expect(of('ExecStartPre')).toMatch(/\/deliver\.sh$/);
    // Not by npm, which does not pass signals on.
    expect(of('ExecStart')).toMatch(/node .*dist\/main\.js$/);
    expect(unit).toContain(`WRAPPING_TOKEN_FILE=/run/${of('RuntimeDirectory')}/wrapping-token`);
    expect(Number(of('TimeoutStopSec'))).toBeGreaterThanOrEqual(5 + 20);
    expect(of('Restart')).toBe('always');
  });
});

describeReal('production', () => {
  let company: Company;
  let machines: Machines;
  beforeAll(async () => {
    company = await Company.start();
    machines = await Machines.start(company);
  });
  afterAll(() => company?.stop());

  const start = async (instance: string) => company.application(await machines.deliver(instance));
  const place = async (url: string) => {
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(`${url}/orders`, { method: 'POST', headers, body: '{"item":"tea"}' });
    if (!answer.ok) throw new Error(`${answer.status}`);
  };

  it('a rolling restart under load: no request fails, and each instance that ends leaves nothing', async () => {
    const machine = await UnitMachine.start(company, machines);
    try {
      // The first one starts both instances.
      expect(await machine.rollingRestart()).toMatchObject({ code: 0, output: '' });
      const before = await company.users();
      expect(before).toHaveLength(2);
      const answers: Promise<number>[] = [];
      const load = setInterval(() => answers.push(machine.request(answers.length)), 10);
      try {
        expect(await machine.rollingRestart()).toMatchObject({ code: 0, output: '' });
      } finally {
        clearInterval(load);
      }
      const statuses = (await Promise.allSettled(answers)).map((one) =>
        one.status === 'fulfilled' ? one.value : one.reason,
      );
      expect(statuses.filter((status) => status !== 200)).toEqual([]);
      expect(statuses.length).toBeGreaterThan(50);
      const after = await company.users();
      expect(after).toHaveLength(2);
      expect(after.filter((user) => before.includes(user))).toEqual([]);
      for (const instance of ['1', '2']) {
        expect(machine.log(instance).match(/Listening at/g)).toHaveLength(2);
        expect(machine.log(instance)).not.toContain(API_KEY);
      }
    } finally {
      await machine.stop();
    }
    await company.noUserIsLeft();
  }, 180_000);

  it('SIGTERM during requests: these are answered, then nothing is left', async () => {
    const one = await start('1');
    const answers = Promise.all(Array.from({ length: 20 }, () => place(one.url)));
    await Promise.race([answers, sleep(5)]);
    const ended = one.end('SIGTERM');
    const done = await Promise.allSettled([answers]);
    expect(await ended).toMatchObject({ code: 0 });
    // Requests that came after the signal find the port closed; no request fails for its database.
    if (done[0]?.status === 'rejected') expect(String(done[0].reason)).toMatch(/fetch failed/);
    await company.noUserIsLeft();
  });

  it('a restart without the init step is refused, and names the used wrapping token', async () => {
    const one = await start('1');
    await one.end('SIGTERM');
    const again = company.run(process.execPath, ['dist/main.js'], { ...machines.env('1'), PORT: '0' });
    const { code, output } = await again.ended;
    expect(code).not.toBe(0);
    expect(output).toContain('VAULT_WRAPPING_TOKEN_INVALID');
    await company.noUserIsLeft();
  });

  it('the node is lost: its user ends with its TTL, and its successor works at once', async () => {
    const [lost, other] = [await start('1'), await start('2')];
    const before = await company.users();
    await lost.end('SIGKILL');
    const successor = await start('1');
    await place(successor.url);
    await place(other.url);
    // The TTL of 6 s, and the time until the server has dropped it.
    await vi.waitFor(
      async () => {
        const now = await company.users();
        expect(before.filter((user) => now.includes(user))).toHaveLength(1);
        expect(now).toHaveLength(2);
      },
      { timeout: 15_000, interval: 100 },
    );
    await place(other.url);
    await Promise.all([other.end(), successor.end()]);
    await company.noUserIsLeft();
  });
});
