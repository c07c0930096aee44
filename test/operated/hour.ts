import { setTimeout as sleep } from 'node:timers/promises';
import { SHIPPED } from './rules.js';
import { notEqual, summary, totals } from './totals.js';
import { World, type Life } from './world.js';

/** From seconds to minutes; all rotate, log in again and read within the hour. */
const LIVES: Readonly<Record<string, Life>> = {
  seconds: { token: [30, 90], lease: [10, 30], watches: true },
  minute: { token: [120, 600], lease: [60, 180], watches: true },
  minutes: { token: [600, 1_800], lease: [300, 1_200] },
};

/** No fault: no alert of the shipped rules fires, and the metrics equal the audit log. */
export async function hour(minutes: number): Promise<void> {
  const began = Date.now();
  const faults: string[] = [];
  const world = await World.start();
  try {
    const subjects = await Promise.all(
      Object.entries(LIVES).map(([name, life]) => world.subject(name, life)),
    );
    await world.observe(SHIPPED);
    const end = began + minutes * 60_000;
    while (Date.now() < end) {
      await sleep(Math.min(30_000, Math.max(0, end - Date.now())));
      const { length } = Object.values(await world.fired()).flat();
      console.log(
        `${new Date().toISOString()} ${Math.round((Date.now() - began) / 60_000)} min, ${length} alerts`,
      );
    }
    const compared = await totals(
      subjects.map(({ env }) => env['INSTANCE'] ?? ''),
      world.bao.auditFile ?? '',
    );
    faults.push(...notEqual(compared));
    console.log(`requests in the audit log: ${summary(compared)}`);
    for (const { name, app } of subjects) console.log(`${name}: ${app.publications.length} rotations`);
    for (const [job, alerts] of Object.entries(await world.fired()))
      faults.push(`${job}: fired ${alerts.join(', ')}`);
    faults.push(...subjects.flatMap(({ name, load }) => failures(name, load.failures())));
  } finally {
    await world.stop();
  }
  for (const fault of faults) console.log(`FAILED  ${fault}`);
  console.log(
    `operated: ${Math.round((Date.now() - began) / 60_000)} minutes without a fault, ${faults.length} failed`,
  );
  process.exitCode = faults.length > 0 ? 1 : 0;
}

function failures(name: string, all: readonly { code?: string }[]): string[] {
  return all.length === 0 ? [] : [`${name}: ${all.length} queries failed: ${all[0]?.code}`];
}
