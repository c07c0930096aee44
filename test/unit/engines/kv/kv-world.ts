import { appRole } from '../../../../lib/auth/app-role.js';
import type { Sender } from '../../../../lib/client/transport.types.js';
import { SimulatedVault, VirtualClock } from '../../../../lib/testing/index.js';
import { live } from '../../../conformance/life.js';

export const POLICY =
  'path "secret/*" { capabilities = ["create", "read", "update", "patch", "delete", "list"] }';

/** A connection, and a secret at `app` with two versions. */
export async function world(policy = POLICY, wrap = (server: Sender) => server) {
  const clock = new VirtualClock();
  const vault = new SimulatedVault({ clock });
  vault.policy('app', policy);
  const { roleId, secretId } = vault.appRole('app', { policies: ['app'] });
  const auth = appRole({ roleId, secretId: secretId() });
  const { connection } = await clock.until(
    live({ address: 'http://vault.test', auth }, undefined, { clock, transport: wrap(vault.transport()) }),
  );
  vault.kv().put('app', { n: 1 });
  vault.kv().put('app', { n: 2 });
  vault.clearHistory();
  const kv = connection.secrets;
  return {
    clock,
    vault,
    connection,
    kv,
    until: <T>(work: Promise<T>) => clock.until(work),
    data: async () => (await clock.until(kv.read<{ n: number }>('app'))).data.reveal(),
    currentVersion: async () => (await clock.until(kv.metadata('app'))).currentVersion,
    sent: (method: string) =>
      vault.history.filter((request) => request.method === (method === 'LIST' ? 'GET' : method)).length,
  };
}
export type World = Awaited<ReturnType<typeof world>>;

/** The next request is not executed, but its answer does not say so. */
export const lose = (vault: SimulatedVault) =>
  vault.answer(502, '<html>', 1, { 'content-type': 'text/html' });

/** Runs `meanwhile` between a request that is lost and its repetition. */
export async function after<T>({ clock }: World, work: Promise<T>, meanwhile: () => unknown): Promise<T> {
  const outcome = work.then(
    (value) => () => value,
    (error: unknown) => () => {
      throw error;
    },
  );
  await clock.advance(1);
  await meanwhile();
  return (await clock.until(outcome))();
}
