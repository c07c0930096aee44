// An hour of virtual time with many leases, in a process of its own: its CPU time, and the number of pending timers
// between requests. With a simulated server in the process, or with a stub that answers constants: the difference is
// the cost of the simulator.
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { appRole, CredentialsService, VaultModule } from 'nestjs-vault';
import { SimulatedVault, VaultTestingModule, VirtualClock } from 'nestjs-vault/testing';
import { pathsOf, roleOf } from './paths.mjs';

const HOUR = 3_600_000;
const { leases, stub } = JSON.parse(process.argv[2]);
const clock = new VirtualClock();
const { transport, ...secrets } = stub ? constant() : simulated();
let requests = 0;
const counting = () => {
  const { send, close } = transport();
  const counted = (request) => {
    requests++;
    return send(request);
  };
  return { send: counted, close };
};

class AppModule {}
const auth = appRole(secrets);
Module({
  imports: [
    VaultTestingModule.forRoot({ vault: { transport: counting, unhandledRequests: [] }, clock }),
    VaultModule.forRoot({ address: 'http://vault.test', auth }),
  ],
})(AppModule);
const app = await clock.until(NestFactory.createApplicationContext(AppModule, { logger: false }));
const credentials = app.get(CredentialsService);
await clock.until(Promise.all(pathsOf(leases).map((path) => credentials.get(path))));
await clock.advance(0);
const pending = [clock.pending];
requests = 0;
const before = process.cpuUsage();
for (let minute = 0; minute < 60; minute++) {
  await clock.advance(HOUR / 60);
  pending.push(clock.pending);
}
const { user, system } = process.cpuUsage(before);
process.send({
  cpu: (user + system) / 1000,
  requests,
  pending: [...new Set(pending)].join(', '),
});
process.disconnect();

function simulated() {
  const vault = new SimulatedVault({ clock });
  for (let number = 0; number < leases; number++)
    vault.databaseRole(roleOf(number), { defaultTtl: '1h', maxTtl: '24h' });
  const { roleId, secretId } = vault.appRole('bench', { tokenTtl: '24h' });
  const sender = vault.transport();
  const send = (request) => sender.send(request);
  return { roleId, secretId: secretId(), transport: () => ({ send, close: () => sender.close() }) };
}

function constant() {
  let count = 0;
  const answer = (body) => ({ statusCode: 200, headers: {}, body: JSON.stringify(body), address: 'stub:' });
  const lease = { lease_duration: 3600, renewable: true, data: null, auth: null, warnings: null };
  const auth = { client_token: 'stub', accessor: 'stub', lease_duration: 86_400, renewable: true };
  const data = {
    username: 'v-approle-service-aaaaaaaaaaaaaaaaaaaa-1764000000',
    password: 'aaaaaaaaaaaaaaaaaaaa',
  };
  const send = async ({ path, body }) => {
    if (path.endsWith('/login')) return answer({ auth, data: null });
    if (path.endsWith('/renew')) return answer({ ...lease, lease_id: JSON.parse(body).lease_id });
    return answer({ ...lease, lease_id: `${path.slice(4)}/${String(count++).padStart(24, '0')}`, data });
  };
  return { roleId: 'stub', secretId: 'stub', transport: () => ({ send, close: async () => {} }) };
}
