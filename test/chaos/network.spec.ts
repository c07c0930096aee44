import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it, type TestContext } from 'vitest';
import { describeReal } from '../support/real-servers.js';
import { startTcpProxy, type TcpProxy } from '../support/servers.mjs';
import type { Row } from './rows.js';
import type { Subject } from './subject.js';
import {
  BACK_WITHIN,
  expectBack,
  expectNotReady,
  expectSurvived,
  LONG,
  SHORT,
  World,
  type Life,
} from './world.js';

describeReal('chaos: the network to the server', () => {
  let world: World;
  const proxies: TcpProxy[] = [];
  beforeAll(async () => {
    world = await World.start();
  });
  afterAll(async () => {
    await world?.stop();
    await Promise.all(proxies.map((proxy) => proxy.close()));
  });

  /** Two applications behind one proxy, with a temporary fault. */
  async function disturbed(
    context: TestContext,
    name: string,
    lives: readonly [Life, Life],
    disturb: (proxy: TcpProxy, long: Subject) => Promise<void>,
    fault: string,
  ): Promise<{ long: Subject; short: Subject; survived: Row; recovered: Row }> {
    const proxy = await startTcpProxy(world.bao.nodes[0]!.port);
    proxies.push(proxy);
    const address = `http://${proxy.address}`;
    const [long, short] = await Promise.all([
      world.subject(`${name}-long`, lives[0], address),
      world.subject(`${name}-short`, lives[1], address),
    ]);
    await long.untilLeft(9_500);
    await Promise.all([long.fault(), short.fault()]);
    await disturb(proxy, long);
    await proxy.restore();
    const since = Date.now();
    const [survived, recovered] = await Promise.all([
      long.outcome(context, fault, since),
      short.outcome(context, fault, since),
    ]);
    return { long, short, survived, recovered };
  }

  it('is a black hole', async (context) => {
    const { long, short, survived, recovered } = await disturbed(
      context,
      'hole',
      [LONG, SHORT],
      async (proxy) => {
        proxy.blackhole();
        await sleep(6_000);
      },
      'the network is a black hole for 6 s',
    );
    expectSurvived(survived, 'VAULT_TIMEOUT');
    expect(long.events('expired')).toEqual([]);
    expect(short.events('expired')).not.toEqual([]);
    expectBack(recovered, 'VAULT_TIMEOUT');
    expectNotReady(recovered);
  }, 120_000);

  it('resets every connection', async (context) => {
    const { long, short, survived, recovered } = await disturbed(
      context,
      'reset',
      [LONG, SHORT],
      async (proxy) => {
        await proxy.cut();
        await sleep(6_000);
      },
      'connections are reset and refused for 6 s',
    );
    expectSurvived(survived, 'VAULT_UNREACHABLE');
    expect(long.events('expired')).toEqual([]);
    expect(short.events('expired')).not.toEqual([]);
    expectBack(recovered, 'VAULT_UNREACHABLE');
    expectNotReady(recovered);
  }, 120_000);

  it('is slow', { timeout: 120_000 }, async (context) => {
    const { long, short, survived, recovered } = await disturbed(
      context,
      'slow',
      // An answer takes a second, longer than the other application's timeout.
      [LONG, { ...SHORT, timeout: 800 }],
      async (proxy, subject) => {
        proxy.delay(500);
        await subject.untilEvents('renewed', 1);
        await sleep(2_000);
      },
      '500 ms are added in each direction',
    );
    expectSurvived(survived);
    expect(long.events('expired')).toEqual([]);
    expect(recovered.said).toContain('VAULT_TIMEOUT');
    expect(short.events('expired')).not.toEqual([]);
    // The server executes the requests, only the answers come too late: queries need not fail.
    expect(recovered.statusUp).toBeLessThan(BACK_WITHIN);
  });
});
