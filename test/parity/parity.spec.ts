import { SimulatedVault } from 'nestjs-vault/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { IMITATED } from '../../lib/testing/server/server-state.js';
import { describeReal, realServer } from '../support/real-servers.js';
import {
  provision,
  startOpenBao,
  startPostgres,
  type OpenBaoServer,
  type PostgresServer,
} from '../support/servers.mjs';
import type { TokenReviews } from '../support/token-review.js';
import { clusters, JWT_STEPS } from './jwt-steps.js';
import { normalise } from './normalise.js';
import { kvParity } from './kv-parity.js';
import { kvGroups } from './kv-steps.js';
import { sender, type Send } from './send.js';
import { stepsFor, type Known, type Step } from './steps.js';

const ROLES = [
  { name: 'app', defaultTtl: '30s', maxTtl: '60s' },
  { name: 'long', defaultTtl: '1h', maxTtl: '2h' },
];

// The answers of Vault differ by version, such as in the texts of errors and in fields of leases.
const comparable = realServer.kind === 'openbao' || realServer.version === IMITATED.vault;
if (!comparable)
  process.stderr.write(`Skipped: ${realServer.name} is not the imitated version, Vault ${IMITATED.vault}.\n`);

/** The simulated server answers like the real one of its dialect: equal requests, equal status and shape of body. */
(comparable ? describeReal : describe.skip)(`parity with ${realServer.name}`, () => {
  let bao: OpenBaoServer;
  let postgres: PostgresServer;
  let cluster: TokenReviews;
  const simulated = new SimulatedVault({ dialect: realServer.kind });
  const servers: { send: Send; known: Known; kv: Awaited<ReturnType<typeof kvParity>> }[] = [];

  beforeAll(async () => {
    let address: string;
    [bao, postgres, address] = await Promise.all([startOpenBao(), startPostgres(), simulated.listen()]);
    await postgres.query('CREATE ROLE static_user LOGIN');
    for (const [at, rootToken] of [
      [bao.address, bao.rootToken],
      [address, 'root'],
    ] as const) {
      const send = sender(at, rootToken);
      await provision({ ...bao, api: send }, postgres, { roles: ROLES, approleName: 'setup' });
      const nodb = { db_name: 'ghost', default_ttl: '30s', creation_statements: ['SELECT 1'] };
      await send('POST', 'database/roles/nodb', nodb);
      servers.push({ send, known: {}, kv: await kvParity(send) });
    }
    const [real, simulation] = servers;
    if (real && simulation) cluster = await clusters(real, simulation, simulated);
  });

  afterAll(async () => {
    await Promise.all([bao?.stop(), postgres?.stop(), simulated.close(), cluster?.stop()]);
  });

  it.each(kvGroups(realServer.kind))('KV: %s', async (_, steps) => {
    const [real, simulation] = await Promise.all(servers.map(({ kv }) => kv(steps)));
    expect(simulation).toEqual(real);
  });

  // The last steps seal the server.
  const steps: Step[] = [...JWT_STEPS, ...stepsFor(realServer.kind)];
  it.each(steps.map((step, index) => [`${index + 1} ${step.name}`, step] as const))('%s', async (_, step) => {
    if (step.wait) await new Promise((resolve) => setTimeout(resolve, step.wait));
    const answers = await Promise.all(
      servers.map(async ({ send, known }) => {
        const answer = await send(...step.request(known));
        step.keep?.(answer, known);
        return { status: answer.status, body: normalise(answer.body) };
      }),
    );
    expect(answers[1]).toEqual(answers[0]);
  });
});
