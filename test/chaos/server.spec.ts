import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeReal } from '../support/real-servers.js';
import { expectBack, expectNotReady, expectSurvived, LONG, SHORT, World } from './world.js';

describeReal('chaos: the server', () => {
  let world: World;
  beforeAll(async () => {
    world = await World.start();
  });
  afterAll(() => world?.stop());

  it('is killed and started again', async (context) => {
    const [long, short] = await Promise.all([
      world.subject('kill-long', LONG),
      world.subject('kill-short', SHORT),
    ]);
    await long.untilLeft(9_500);
    await Promise.all([long.fault(), short.fault()]);
    await world.bao.nodes[0]!.kill();
    await sleep(6_000);
    await world.bao.nodes[0]!.start();
    const since = Date.now();

    const fault = 'Vault is killed, and started after 6 s';
    const [survived, recovered] = await Promise.all([
      long.outcome(context, fault, since),
      short.outcome(context, fault, since),
    ]);
    expectSurvived(survived, 'VAULT_UNREACHABLE');
    expect(long.events('expired')).toEqual([]);
    expect(short.events('expired')).not.toEqual([]);
    expectBack(recovered, 'VAULT_UNREACHABLE');
    expectNotReady(recovered);
  }, 120_000);

  it('is sealed for longer than half a TTL', async (context) => {
    const [long, short] = await Promise.all([
      world.subject('seal-long', LONG),
      world.subject('seal-short', SHORT),
    ]);
    await long.untilLeft(14_000);
    await Promise.all([long.fault(), short.fault()]);
    await world.bao.seal();
    // More than half of the granted TTL.
    await sleep(9_500);
    await world.bao.unseal();
    const since = Date.now();

    const fault = 'Vault is sealed for 9.5 s';
    const [survived, recovered] = await Promise.all([
      long.outcome(context, fault, since),
      short.outcome(context, fault, since),
    ]);
    expectSurvived(survived, 'VAULT_SEALED');
    expect(long.events('expired')).toEqual([]);
    expect(short.events('expired')).not.toEqual([]);
    expectBack(recovered, 'VAULT_SEALED');
    expectNotReady(recovered);
  }, 120_000);
});
