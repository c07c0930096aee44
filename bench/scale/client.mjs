// One client in a process of its own, which tells its parent what it saw: the memory that each lease takes, how many
// timers there are, or how long the event loop is held up in real time. Needs --expose-gc.
import { setTimeout as sleep } from 'node:timers/promises';
import { countTimers, during, heapUsed } from './gauges.mjs';
import { pathsOf } from './paths.mjs';

const { what, peer, server, leases, seconds } = JSON.parse(process.argv[2]);
// Before anything is imported that sets one.
const pendingTimers = what === 'timers' ? countTimers() : undefined;
const { PEERS } = await import('./peers.mjs');

/** By then the pool has closed its connections, and the timers of those are gone. */
const POOL_IDLE = 6_000;
/** So many leases are held before anything is measured: what is compiled late, and connections, are there by then. */
const WARM = 500;

// The timers of this package let a process end.
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

/** Has the server do something. */
function order(name) {
  return new Promise((resolve) => {
    process.once('message', resolve);
    process.send({ order: name });
  });
}
