// Clients with many leases: this package, and hand-written code with node-vault. Each has `hold`, which gets the
// credentials of paths and renews them, and `close`.
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import createNodeVault from 'node-vault';
import { appRole, CredentialsService, VaultModule } from 'nestjs-vault';

/** Concurrent requests, as many as this package makes. */
const CONCURRENCY = 8;
const PATIENCE = 60_000;

export const PEERS = {
  'nestjs-vault': ours,
  'node-vault, a timer each': (server) => byHand(server, true),
  'the answers alone': (server) => byHand(server, false),
};

async function ours({ address, roleId, secretId }) {
  class AppModule {}
  const auth = appRole({ roleId, secretId });
  Module({ imports: [VaultModule.forRoot({ address, auth, timeout: PATIENCE })] })(AppModule);
  const app = await NestFactory.createApplicationContext(AppModule, { logger: false });
  const credentials = app.get(CredentialsService);
  return {
    hold: (paths) => Promise.all(paths.map((path) => credentials.get(path))),
    followStatus() {
      const subscription = credentials.status$.subscribe();
      return () => subscription.unsubscribe();
    },
    /** Resolves after so many issues from now on. */
    reissued: (count) =>
      new Promise((resolve, reject) => {
        const late = () => reject(new Error(`${count} were not issued again within ${PATIENCE} ms`));
        const timer = setTimeout(late, PATIENCE);
        credentials.events$.subscribe(({ type }) => {
          if (type !== 'issued' || --count > 0) return;
          clearTimeout(timer);
          resolve();
        });
      }),
    close: () => app.close(),
  };
}

/** A lease is the plain answer; with `renews`, it has a timer at two thirds of its TTL. */
async function byHand({ address, roleId, secretId }, renews) {
  const vault = createNodeVault({ endpoint: address });
  await vault.approleLogin({ role_id: roleId, secret_id: secretId });
  const leases = new Map();
  const renewLater = (lease) => {
    lease.timer = setTimeout(async () => {
      const renewed = await vault.write('sys/leases/renew', { lease_id: lease.lease_id });
      lease.lease_duration = renewed.lease_duration;
      renewLater(lease);
    }, lease.lease_duration * 667);
  };
  return {
    async hold(paths) {
      const left = paths.values();
      const worker = async () => {
        for (const path of left) {
          const lease = await vault.read(path);
          leases.set(path, lease);
          if (renews) renewLater(lease);
        }
      };
      await Promise.all(Array.from({ length: CONCURRENCY }, worker));
    },
    async close() {
      for (const { timer } of leases.values()) clearTimeout(timer);
      leases.clear();
    },
  };
}
