import assert from 'node:assert/strict';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, it } from 'vitest';
import { withDice } from './dice.js';
import { Month } from './month.js';
import { DAY, HOUR, IN_TROUBLE, isQuiet, LOOKS, type Character } from './month-plan.js';

/** The first days in `npm test`, all 30 in `npm run test:thirty-days`. */
const DAYS = Number(process.env['MONTH_DAYS'] ?? 10);

// Has the effect of --expose-gc.
setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const MEBIBYTE = 2 ** 20;
/** Allowed growth of the heap between two measurements, for code that is compiled late and the like. */
const MOST_GROWTH = MEBIBYTE;
/** The least seconds between two renewals, as a share of a TTL. */
const SOONEST_RENEWAL = 0.61;
/** Failed attempts come every 15 to 30 s, after the first ones. */
const TRIES_AN_HOUR = 240;
/** Attempts until then, and the requests of a new token: logins, look-ups, retired leases. */
const TRIES_EACH_TIME = 12;

const CHARACTERS: readonly Character[] = [
  {
    name: 'a laptop, with a token of 32 days',
    seed: 20261124,
    dialect: 'openbao',
    tokens: { ttl: 0, maxTtl: 0 },
    tokensLostFrom: 23,
    sleeps: true,
  },
  {
    name: 'a server whose clock is set, with tokens of 4 days',
    seed: 20261125,
    dialect: 'vault',
    tokens: { ttl: 4 * 86_400, maxTtl: 4 * 86_400 },
    tokensLostFrom: 0,
    sleeps: false,
  },
];

describe(`${DAYS} days of a month: published credentials work, requests stay few, memory does not grow, and nothing is left`, () => {
  for (const character of CHARACTERS) {
    it(character.name, () => withDice(character.seed, () => thirtyDays(character)), 120_000);
  }
});

async function thirtyDays(character: Character): Promise<void> {
  const month = new Month(character);
  await month.begin();
  const sizes: number[] = [];
  let [from, requests, quiet] = [0, 0, 0];
  for (const at of LOOKS.filter((look) => look <= DAYS * DAY)) {
    const before = { ...month.trouble };
    await month.liveUntil(at);
    month.watch.round();
    const asked = month.witness.exchanges.length;
    const most = mostRequests(month, at - from, before);
    assert.ok(asked <= most, `${asked} requests until day ${at / DAY}, and ${most} are explained`);
    requests += asked;
    from = at;
    const atPeace = isQuiet(at / DAY - 1);
    if (atPeace) {
      quiet = asked;
      assertTidy(month);
    }
    month.forget();
    // On most other days the server keeps leases whose answers were lost; their size is not the client's.
    if (atPeace || at === IN_TROUBLE) sizes.push(heapUsed());
  }
  const grown = Math.max(...sizes.map((size, index) => size - Math.min(...sizes.slice(0, index + 1))));
  assert.ok(grown <= MOST_GROWTH, `${inMebibytes(grown)} more than at an earlier measurement`);
  await assertEnds(month);
  const { looks, unnoticed } = month.watch;
  process.stdout.write(
    `${DAYS} days of ${character.name}: ${requests} requests, ${quiet} on a quiet day; ${looks} checks, ` +
      `${unnoticed.looks} of leases revoked by an operator and not noticed yet; heap +${inMebibytes(grown)}\n`,
  );
}

function heapUsed(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

const inMebibytes = (bytes: number) => `${(bytes / MEBIBYTE).toFixed(2)} MiB`;

/** The limit of requests within a time: scheduled renewals and rotations, and retries for the duration of faults. */
function mostRequests(month: Month, time: number, before: { times: number; duration: number }): number {
  const { roles, trouble } = month;
  let most = 0;
  for (const { ttl, maxTtl } of roles.values()) {
    const [soonest, life] = [SOONEST_RENEWAL * ttl, Math.max(SOONEST_RENEWAL * ttl, maxTtl - ttl)];
    // Each rotation takes one shorter renewal, one issue, and one retirement.
    most += time / 1000 / soonest + (3 * time) / 1000 / life + 3;
  }
  const hours = (trouble.duration - before.duration) / HOUR;
  const times = trouble.times - before.times;
  return most + (roles.size + 1) * (TRIES_AN_HOUR * hours + TRIES_EACH_TIME * times);
}

/** After a quiet day each path has credentials, and the server keeps no unused lease. */
function assertTidy({ vault, witness, connection, consumers, clock }: Month): void {
  assert.equal(clock.pending, 1, 'one timer for all');
  const { session, leases } = connection.status;
  assert.equal(session.state, 'valid');
  for (const { path, values, errors, completions } of consumers.subscriptions) {
    assert.equal(errors.length + completions, 0, `${path}: the stream ended`);
    assert.equal(values.at(-1)?.data, connection.leases.current(path)?.data, `${path}: the stream is behind`);
  }
  const superseded = leases.reduce((sum, one) => sum + one.superseded, 0);
  assert.ok(superseded <= 5, `${superseded} superseded leases are still there`);
  // The client does not know of leases whose answer was lost.
  const known = vault.liveLeases.filter(({ id }) => witness.leases.has(id)).length;
  assert.ok(known <= leases.length + superseded, `${known} leases for ${leases.length} secrets`);
}

/** Every stream completes, nothing is left at the server, and no request follows. */
async function assertEnds(month: Month): Promise<void> {
  const { clock, vault, witness, consumers } = month;
  await month.close();
  for (const { path, errors, completions } of consumers.subscriptions)
    assert.deepEqual([errors.length, completions], [0, 1], `${path}: the stream does not complete`);
  assert.equal(clock.pending, 0, 'timers are pending after close');
  assert.equal(vault.leaseCount, 0, 'leases are valid after close');
  assert.equal(vault.tokenCount, 1, 'tokens are valid after close');
  const asked = witness.exchanges.length;
  await clock.advance(40 * DAY);
  assert.equal(witness.exchanges.length, asked, 'requests after close');
}
