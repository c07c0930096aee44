// One client in a process of its own, which reports to its parent: the memory of each lease, the number of timers, or
// the delays of the event loop in real time. Needs --expose-gc.
import { setTimeout as sleep } from 'node:timers/promises';
import { countTimers, during, heapUsed } from './gauges.mjs';
import { pathsOf } from './paths.mjs';

const { what, peer, server, leases, seconds } = JSON.parse(process.argv[2]);
// Before the import of any module that sets a timer.
const pendingTimers = what === 'timers' ? countTimers() : undefined;
const { PEERS } = await import('./peers.mjs');

/** By then the pool has closed its idle connections and their timers. */
const POOL_IDLE = 6_000;
/** Number of leases before the measurement: by then code is compiled, and connections are open. */
const WARM = 500;

// The timers of this package do not keep a process alive.
const alive = setInterval(() => {}, 1_000_000);
const client = await PEERS[peer](server);
const paths = pathsOf(leases);
await client.hold(paths.splice(0, WARM));
const seen = await {
  async memory() {
    const before = await heapUsed();
    await client.hold(paths);
    return ((await heapUsed()) - before) / paths.length;
  },
  async timers() {
    await client.hold(paths);
    await sleep(POOL_IDLE);
    return pendingTimers();
  },
  async delays() {
    const phases = { before: await during(() => sleep(5_000)) };
    phases.issuing = await during(() => client.hold(paths));
    phases.kept = await during(() => sleep(seconds * 1_000));
    if (client.followStatus) {
      const unfollow = client.followStatus();
      phases.followed = await during(() => sleep(seconds * 1_000));
      unfollow();
      const all = client.reissued(leases);
      await order('lose-tokens');
      phases.lost = await during(() => all);
    }
    phases.closing = await during(() => client.close());
    return phases;
  },
}[what]();
await client.close();
clearInterval(alive);
process.send({ seen });
process.disconnect();

/** Sends an order to the server. */
function order(name) {
  return new Promise((resolve) => {
    process.once('message', resolve);
    process.send({ order: name });
  });
}
