// An application that ends in the way and the format that CASE names, on the packages of its folder. It prints `HELD`
// with the user and the accessor of each token that it has when it fails, and `FAILS` with the time. Run by
// scripts/failed-start.mjs.
import { writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { join } from 'node:path';

const require = createRequire(join(process.cwd(), 'package.json'));
const { format, where, abort = true, end = 'uncaught', other, after } = JSON.parse(process.env.CASE);
const { ADDRESS, ROLE_ID, SECRET_ID, TOKEN, HANGING } = process.env;
const load = (name, as = format) => (as === 'cjs' ? require(name) : import(name));

await load('reflect-metadata');
const { Module } = await load('@nestjs/common');
const { NestFactory } = await load('@nestjs/core');
const vault = await load('nestjs-vault');
const core = await load('nestjs-vault/core');

/** Prints at once, even if the process ends in the same moment. */
const print = (...words) => writeSync(1, `${words.join(' ')}\n`);
const fails = () => print('FAILS', Date.now());
const failure = () => {
  fails();
  return new Error('the application fails');
};

const auth = (copy = vault) =>
  TOKEN ? copy.token(TOKEN) : copy.appRole({ roleId: ROLE_ID, secretId: SECRET_ID });
const connection = (more, copy = vault) =>
  copy.VaultModule.forRoot({ address: ADDRESS, auth: auth(copy), ...more });

/** Issues a user, and prints it with the accessor: both must be gone from the server after the end of this process. */
async function hold(credentials, client) {
  const [{ data }, self] = await Promise.all([
    credentials.get('database/creds/orders'),
    client.read('auth/token/lookup-self'),
  ]);
  print('HELD', data.reveal().username, self.data.reveal().accessor);
}

const inFactory = (at) => at === 'provider' || at === 'no failure, but in the factory';

/** Runs in the hook or factory that `where` names. */
function module(imports, at = where, copy = vault) {
  class Consumer {
    constructor(credentials, client) {
      Object.assign(this, { credentials, client });
    }
    async onModuleInit() {
      if (!inFactory(at)) await hold(this.credentials, this.client);
      if (at === 'onModuleInit') throw failure();
    }
    async onApplicationBootstrap() {
      if (at === 'onApplicationBootstrap') throw failure();
    }
  }
  const consumer = {
    provide: Consumer,
    inject: [copy.CredentialsService, copy.VaultClient],
    async useFactory(credentials, client) {
      const made = new Consumer(credentials, client);
      if (!inFactory(at)) return made;
      await hold(credentials, client);
      if (at === 'provider') throw failure();
      return made;
    },
  };
  class App {}
  Module({ imports, providers: [consumer] })(App);
  return App;
}

/** A port in use. */
async function taken() {
  const server = createServer().unref();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server.address().port;
}

const options = { abortOnError: abort, logger: ['fatal', 'error', 'warn'] };
const context = (app, more) => NestFactory.createApplicationContext(app, { ...options, ...more });

async function start() {
  const app = await NestFactory.create(module([connection()]), options);
  if (where !== 'listen') return await app.listen(0, '127.0.0.1');
  const port = await taken();
  await app.init();
  fails();
  await app.listen(port, '127.0.0.1');
}

/** A connection without Nest, which holds a user. */
async function script(extras) {
  const connected = await core.connectVault({ address: ADDRESS, auth: auth(core) }, extras);
  await hold(connected.credentials, connected.client);
}

const OTHER = {
  async 'a script runs out'() {
    await script();
    fails();
  },
  async 'process.exit(5) in a script'() {
    await script();
    fails();
    process.exit(5);
  },
  async 'SIGINT with endAtExit'() {
    await script({ endAtExit: true });
    fails();
    process.kill(process.pid, 'SIGINT');
    setTimeout(() => undefined, 60_000);
  },
  async 'SIGTERM in withVault'() {
    await core.withVault({ address: ADDRESS, auth: auth(core) }, async ({ credentials, client }) => {
      await hold(credentials, client);
      fails();
      process.kill(process.pid, 'SIGTERM');
      await new Promise((resolve) => setTimeout(resolve, 60_000));
    });
  },
  async 'an error in withVault'() {
    await core.withVault({ address: ADDRESS, auth: auth(core) }, async ({ credentials, client }) => {
      await hold(credentials, client);
      throw failure();
    });
  },
  /** Nothing keeps the process alive any more. */
  async 'runs out'() {
    await context(module([connection()]));
    fails();
  },
  async 'process.exit(5) while it runs'() {
    const app = await NestFactory.create(module([connection()]), options);
    await app.listen(0, '127.0.0.1');
    fails();
    process.exit(5);
  },
  async 'an uncaught exception while it runs'() {
    await (await NestFactory.create(module([connection()]), options)).listen(0, '127.0.0.1');
    setTimeout(() => {
      throw failure();
    });
  },
  async 'an uncaught exception, with a listener that exits with 6'() {
    process.on('uncaughtException', () => process.exit(6));
    await OTHER['an uncaught exception while it runs']();
  },
  async 'a rejection that nothing handles'() {
    await (await NestFactory.create(module([connection()]), options)).listen(0, '127.0.0.1');
    setTimeout(() => void Promise.reject(failure()));
  },
  async 'process.exit(7) in a listener of exit'() {
    process.on('exit', () => process.exit(7));
    await context(module([connection()]));
    fails();
    process.exit(1);
  },
  async 'process.exit(8) during close()'() {
    const app = await context(module([connection()]));
    fails();
    // The revocation may be pending or not.
    void app.close();
    setTimeout(() => process.exit(8), after);
  },
  async 'process.exit(9) when close() is done'() {
    const app = await context(module([connection()]));
    fails();
    await app.close();
    process.exit(9);
  },
  async 'both copies of the package'() {
    const copy = await load('nestjs-vault', format === 'cjs' ? 'esm' : 'cjs');
    await context(module([connection()]));
    await context(module([connection({}, copy)], where, copy));
    fails();
    process.exit(0);
  },
  async 'a microservice on a port that is taken'() {
    const { Transport } = await load('@nestjs/microservices');
    const port = await taken();
    const secret = vault.getSecretToken('app', { key: 'host' });
    const imports = [connection(), vault.VaultModule.forFeature({ secrets: [['app', { key: 'host' }]] })];
    const app = await NestFactory.createMicroservice(module(imports), {
      ...options,
      inject: [secret, vault.getCredentialsToken('orders')],
      useFactory: (host, credentials$) => ({
        transport: credentials$.subscribe && Transport.TCP,
        options: { host: host.reveal(), port },
      }),
    });
    await app.init();
    fails();
    await app.listen();
  },
  /** Another connection waits for a server that accepts, and answers nothing. */
  async 'SIGTERM while a start waits for the server'() {
    const second = connection({ name: 'second', address: HANGING, startup: { timeout: 60_000 } });
    setTimeout(() => {
      fails();
      process.kill(process.pid, 'SIGTERM');
    }, 1_500);
    await context(module([connection(), second], 'no failure, but in the factory'));
  },
  async 'SIGTERM in a start, with a listener that exits with 10'() {
    process.on('SIGTERM', () => process.exit(10));
    await OTHER['SIGTERM while a start waits for the server']();
  },
  async 'process.exit(11) while the server hangs'() {
    await context(module([connection()]));
    process.send('hang');
    await new Promise((resolve) => process.once('message', resolve));
    process.disconnect();
    fails();
    process.exit(11);
  },
};

const main = other ? OTHER[other] : start;
if (end === 'caught') {
  await main().catch(() => undefined);
} else if (end === 'exit') {
  await main().catch(() => process.exit(3));
} else await main();
