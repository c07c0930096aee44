import { expect } from 'vitest';
import { simulated, LONG, SECOND, type Rules } from './rule.js';

const MINUTE = 60 * SECOND;
const PAST = '2001-01-01T00:00:00Z';

/** How long answers without a lease live: knowledge of each engine. */
export const lives: Rules = [
  simulated('F2', 'keys of a KV secret that look like a life are none: it is read once', async (world) => {
    const life = await world.start({ role: LONG, watch: false });
    const mark = { certificate: 'a', signed_key: 'a', access_key: 'a', last_vault_rotation: PAST };
    const plain = { ...mark, ttl: 0, expires_at_seconds: 1, token_ttl: 1 };
    const names = ['app', 'static-creds/app', 'static-cred/app', 'issue/app', 'sign/app', 'token/app'];
    for (const version of [1, 2] as const) {
      const kv = world.vault!.kv(`kv${version}`, version);
      for (const [name, expiration] of names.flatMap(
        (one) =>
          [
            [`${one}-1`, PAST],
            [`${one}-2`, 1],
          ] as const,
      )) {
        kv.put(name, { ...plain, expiration });
        const path = version === 2 ? `kv2/data/${name}` : `kv1/${name}`;
        await world.settled(life.connection.leases.get(path));
      }
    }
    await world.advance(10 * MINUTE);
    expect(world.requests(/^kv/)).toHaveLength(4 * names.length);
    expect(life.connection.status.health).toBe('up');
  }),
];
