import { setTimeout as sleep } from 'node:timers/promises';
import { appRole } from 'nestjs-vault';
import { afterAll, beforeAll, expect, it, type TestContext } from 'vitest';
import type { VaultConnection } from '../../lib/connection/vault-connection.js';
import type { OpenBaoNode } from '../support/cluster.mjs';
import { closeConnections, connect } from '../support/connect.js';
import { describeReal } from '../support/real-servers.js';
import type { Subject } from './subject.js';
import { LONG, World } from './world.js';

/** Renewed with 12 s left, enough to elect a leader. */
const LIFE = { ...LONG, ttl: 30, token: 120 };
/** Milliseconds between attempts to issue a lease. */
const PROBE_EVERY = 100;
const PROBE_PATIENCE = 60_000;

describeReal('chaos: a cluster of three', () => {
  let world: World;
  let probe: VaultConnection;
  /** One application for all cases, with the addresses of all nodes. */
  let subject: Subject;
  let killed: OpenBaoNode | undefined;

  beforeAll(async () => {
    world = await World.start(3);
    await world.setRole('probe', { ttl: 5 });
    const { body } = await world.bao.api('GET', 'auth/approle/role/app/role-id');
    const secret = await world.bao.api('POST', 'auth/approle/role/app/secret-id');
    const auth = appRole({ roleId: body.data.role_id, secretId: secret.body.data.secret_id });
    probe = connect({ address: world.bao.addresses, auth, timeout: 2_000 }).connection;
    await probe.login();
    subject = await world.subject('cluster', LIFE, world.bao.addresses);
  }, 120_000);
  afterAll(async () => {
    await closeConnections();
    await world?.stop();
  }, 120_000);

  /** Waits until leases can be issued again; returns the time, with the error codes until then. */
  async function untilIssuing(since: number): Promise<string> {
    const codes = new Set<string>();
    for (const end = since + PROBE_PATIENCE; Date.now() < end; await sleep(PROBE_EVERY)) {
      try {
        await probe.client.read('database/creds/probe');
        const failures = codes.size > 0 ? ` (until then ${[...codes].join(', ')})` : '';
        return `issuing works again after ${((Date.now() - since) / 1_000).toFixed(1)} s${failures}`;
      } catch (error) {
        codes.add((error as { code: string }).code);
      }
    }
    throw new Error(`Nothing was issued in ${PROBE_PATIENCE} ms: ${[...codes].join(', ')}`);
  }

  /**
   * Starts the fault when the lease is about to be renewed, so that the renewal falls into the time without a leader.
   */
  async function disturbed(context: TestContext, fault: string, disturb: () => Promise<void>): Promise<void> {
    await subject.untilDue(300);
    await subject.fault();
    const began = Date.now();
    await disturb();
    const note = await untilIssuing(began);
    await subject.untilEvents('renewed', 1);
    await subject.settled(Date.now());
    const { probes } = await subject.row(context, fault, began, note);
    expect(probes).toMatchObject({ notReady: 0, notLive: 0, notStarted: 0 });
    // Counted from the start, not only since this fault.
    expect(subject.load.failures()).toEqual([]);
    expect(subject.events('expired')).toEqual([]);
    expect(subject.events('issued')).toEqual([]);
  }

  const killLeader = async () => {
    killed = await world.bao.leader();
    await killed.kill();
  };
  const rejoin = async () => {
    await killed!.start();
    await world.bao.untilVoters();
  };

  it('loses its leader', async (context) => {
    await disturbed(context, 'the leader of three is killed', killLeader);
    await rejoin();
  }, 120_000);

  it('loses its next leader', async (context) => {
    await disturbed(context, 'the next leader is killed', killLeader);
    await rejoin();
  }, 120_000);

  it('has its leader step down', async (context) => {
    await disturbed(context, 'the leader steps down', () => world.bao.stepDown());
  }, 120_000);
});
