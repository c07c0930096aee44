// KV reads through this package, bare node-vault and bare undici: client CPU for each read and throughput, in one run
// on one server, in turns, so that other load of the machine affects all three alike.
import 'reflect-metadata';
import createNodeVault from 'node-vault';
import { Agent, request } from 'undici';
import { NestFactory } from '@nestjs/core';
import { Module } from '@nestjs/common';
import { CredentialsService, KvService, token, VaultModule } from 'nestjs-vault';
import { concurrently } from './concurrently.mjs';
import { median, table } from './report.mjs';

const ROUNDS = 7;

export async function kv(bao, reads = 2_000) {
  await bao.api('POST', 'secret/data/bench', {
    data: { apiKey: 'k'.repeat(32), url: 'https://example.test' },
  });

  class AppModule {}
  Module({ imports: [VaultModule.forRoot({ address: bao.address, auth: token(bao.rootToken) })] })(AppModule);
  const app = await NestFactory.createApplicationContext(AppModule, { logger: false });
  const service = app.get(KvService);
  const nodeVault = createNodeVault({ endpoint: bao.address, token: bao.rootToken });
  const dispatcher = new Agent({ connections: 64 });
  const headers = { 'X-Vault-Token': bao.rootToken };

  const peers = {
    'nestjs-vault': async () => (await service.read('bench')).data.reveal().apiKey,
    'node-vault': async () => (await nodeVault.read('secret/data/bench')).data.data.apiKey,
    undici: async () => {
      const { body } = await request(`${bao.address}/v1/secret/data/bench`, { dispatcher, headers });
      return (await body.json()).data.data.apiKey;
    },
  };

  const results = {};
  for (const concurrency of [1, 50]) {
    const runs = Object.fromEntries(Object.keys(peers).map((name) => [name, []]));
    for (const read of Object.values(peers)) await measure(read, reads / 4, concurrency);
    for (let round = 0; round < ROUNDS; round++) {
      for (const [name, read] of Object.entries(peers))
        runs[name].push(await measure(read, reads, concurrency));
    }
    const cpu = (name) => median(runs[name].map((run) => run.cpu));
    const rows = Object.keys(peers).map((name) => [
      name,
      cpu(name).toFixed(1),
      Math.round(median(runs[name].map((run) => run.throughput))).toString(),
      (cpu(name) / cpu('undici')).toFixed(2),
      (cpu(name) / cpu('node-vault')).toFixed(2),
    ]);
    console.log(`\nKV reads, concurrency ${concurrency} (median of ${ROUNDS} rounds of ${reads})`);
    console.log(table(['client', 'CPU µs/read', 'reads/s', 'CPU vs undici', 'CPU vs node-vault'], rows));
    results[concurrency] = {
      toUndici: cpu('nestjs-vault') / cpu('undici'),
      toNodeVault: cpu('nestjs-vault') / cpu('node-vault'),
    };
  }
  await app.close();
  await dispatcher.close();
  return results;
}

async function measure(read, count, concurrency) {
  const cpu = process.cpuUsage();
  const start = performance.now();
  await concurrently(count, concurrency, read);
  const { user, system } = process.cpuUsage(cpu);
  return { cpu: (user + system) / count, throughput: (count / (performance.now() - start)) * 1000 };
}

/** Cost of one call of `CredentialsService.current`, in nanoseconds. */
export async function current(bao, path) {
  class AppModule {}
  Module({ imports: [VaultModule.forRoot({ address: bao.address, auth: token(bao.rootToken) })] })(AppModule);
  const app = await NestFactory.createApplicationContext(AppModule, { logger: false });
  const credentials = app.get(CredentialsService);
  await credentials.get(path);
  const times = [];
  for (let round = 0; round < 5; round++) {
    const calls = 1_000_000;
    const start = performance.now();
    for (let call = 0; call < calls; call++) if (!credentials.current(path)) throw new Error('lost');
    times.push(((performance.now() - start) * 1e6) / calls);
  }
  await app.close();
  console.log(`\ncurrent(path): ${median(times).toFixed(0)} ns a call`);
  return median(times);
}
