import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeReal } from '../support/real-servers.js';
import { expectBack, expectSurvived, LONG, SHORT, World } from './world.js';

describeReal('chaos: the database and the process', () => {
  let world: World;
  beforeAll(async () => {
    world = await World.start();
  });
  afterAll(() => world?.stop());

  it('the database is restarted', async (context) => {
    const [long, short] = await Promise.all([
      world.subject('database-long', LONG),
      world.subject('database-short', SHORT),
    ]);
    await long.untilLeft(10_000);
    await Promise.all([long.fault(), short.fault()]);
    await world.postgres.kill();
    await sleep(5_000);
    await world.postgres.restart();
    const since = Date.now();

    const fault = 'the database is killed, and started after 5 s';
    const rows = await Promise.all([
      long.outcome(context, fault, since),
      short.outcome(context, fault, since),
    ]);
    for (const row of rows) expectBack(row, 'VAULT_BACKEND_FAILED');
    // An unreachable database is no reason for other credentials.
    expect(long.events('issued')).toEqual([]);
    expect(long.poolEvents('refused')).toEqual([]);
  }, 120_000);

  // Windows has no SIGSTOP.
  it.skipIf(process.platform === 'win32')(
    'the process is suspended for 5 s',
    async (context) => {
      const [long, short] = await Promise.all([
        world.subject('stop-long', LONG),
        world.subject('stop-short', SHORT),
      ]);
      await long.untilLeft(10_000);
      await Promise.all([long.fault(), short.fault()]);
      for (const { app } of [long, short]) app.suspend();
      await sleep(5_000);
      const since = Date.now();
      for (const { app } of [long, short]) app.resume();

      const fault = 'the process is suspended for 5 s';
      const [survived, recovered] = await Promise.all([
        long.outcome(context, fault, since),
        short.outcome(context, fault, since),
      ]);
      expectSurvived(survived);
      expect(long.events('issued')).toEqual([]);
      expect(short.events('expired')).not.toEqual([]);
      expect(short.events('issued')).toHaveLength(1);
      expectBack(recovered, 'expired');
      expect(short.events('rotated')).toMatchObject([{ reason: 'expired' }]);
    },
    120_000,
  );
});
