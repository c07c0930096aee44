import { expect, it } from 'vitest';
import { lifetimeWatcherOpenBao } from '../../bench/fleet/policies/lifetime-watcher.js';
import { ours } from '../../bench/fleet/policies/ours.js';
import { MINUTE, SCENARIOS, type Scenario } from '../../bench/fleet/scenarios.js';
import { simulate } from '../../bench/fleet/simulate.js';

// A small part of `npm run bench:fleet`, so that `npm test` shows changes that harm fleets.
const instances = 300;
const scenario = (id: Scenario['id']) => SCENARIOS.find((one) => one.id === id) as Scenario;

it('no instance keeps an expired credential in a seal of 10 minutes with a TTL of 1 h', async () => {
  const figures = await simulate(ours, scenario('seal'), { instances, seed: 1, after: 20 * MINUTE });
  expect(figures).toMatchObject({ expiredInstances: 0, withoutSeconds: 0, healthyAfter: expect.any(Number) });
});

it('the peak over the mean after a restart is at most a third of that of a LifetimeWatcher that does not back off', async () => {
  // In a small fleet a short outage leaves too few failures, and chance would decide.
  const restart = { ...scenario('restart'), lasts: 2 * MINUTE };
  const settings = { instances, seed: 1, ttl: 20 * MINUTE, after: 10 * MINUTE };
  const mine = await simulate(ours, restart, settings);
  const peer = await simulate(lifetimeWatcherOpenBao, restart, settings);
  expect(mine.peakToMean).toBeLessThanOrEqual(peer.peakToMean / 3);
  expect(mine.healthyAfter).toBeDefined();
});
