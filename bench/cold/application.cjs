// A Nest application context that needs one value of KV: after a login by AppRole, through one of two clients. Prints the
// milliseconds of the client's import, after that of Nest, and those from the start of the process to the value; also those
// from the end of Nest's import to the value, without the time in which the thread waited for a core.
const { readFileSync } = require('node:fs');

/** Milliseconds in which this thread was ready to run and had no core; only Linux tells them. */
function waited() {
  if (process.platform !== 'linux') return 0;
  return Number(readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ')[1]) / 1e6;
}

/** @param load imports a package, in the format of the process */
exports.run = async (load, client, { address, roleId, secretId }) => {
  await load('reflect-metadata');
  const { Module } = await load('@nestjs/common');
  const { NestFactory } = await load('@nestjs/core');
  const waitedBefore = waited();
  const before = performance.now();
  const loaded = await load(client);
  const imported = performance.now() - before;

  const { imports = [], provider, end } = APPLICATIONS[client](loaded, { address, roleId, secretId });
  class AppModule {}
  Module({ imports, providers: [{ provide: 'value', ...provider }] })(AppModule);
  const app = await NestFactory.createApplicationContext(AppModule, { logger: false });
  const value = app.get('value');
  const first = performance.now();
  const own = first - before - (waited() - waitedBefore);
  const { user, system } = process.cpuUsage();
  if (value !== 'k'.repeat(32)) throw new Error(`the value is ${value}`);
  await end?.();
  await app.close();
  process.stdout.write(JSON.stringify({ imported, first, own, cpu: (user + system) / 1000 }));
};

const APPLICATIONS = {
  'nestjs-vault': ({ VaultModule, appRole, getSecretToken }, { address, roleId, secretId }) => ({
    imports: [VaultModule.forRoot({ address, auth: appRole({ roleId, secretId }) })],
    provider: {
      inject: [getSecretToken('bench', { key: 'apiKey' })],
      useFactory: (apiKey) => apiKey.reveal(),
    },
  }),
  'node-vault': (loaded, { address, roleId, secretId }) => {
    const vault = (loaded.default ?? loaded)({ endpoint: address });
    return {
      provider: {
        useFactory: async () => {
          await vault.approleLogin({ role_id: roleId, secret_id: secretId });
          return (await vault.read('secret/data/bench')).data.data.apiKey;
        },
      },
      end: () => vault.tokenRevokeSelf(),
    };
  },
};
