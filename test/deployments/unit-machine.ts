import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { Agent, get } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { Machines } from './environments.js';
import { readSample, ROOT, sampleFile, type Company, type Ended } from './world.js';

/** The instances of `rolling-restart.sh`. */
const INSTANCES = ['1', '2'];

/**
 * A machine as 17-production describes it: the application in /opt/orders, the unit, and its environment; below a folder in
 * place of /. `systemctl` is a script, as no systemd runs here.
 */
export class UnitMachine {
  readonly #company: Company;
  readonly #root: string;
  readonly #ports: readonly number[];

  private constructor(company: Company, root: string, prefix: string) {
    this.#company = company;
    this.#root = root;
    this.#ports = INSTANCES.map((instance) => Number(prefix + instance));
  }

  static async start(company: Company, machines: Machines): Promise<UnitMachine> {
    const root = join(company.folder, 'machine');
    const put = (path: string, text: string) => writeFileSync(join(root, path), text, { mode: 0o755 });
    for (const folder of ['etc/systemd/system', 'etc/orders', 'opt/orders', 'usr/bin', 'run'])
      mkdirSync(join(root, folder), { recursive: true });
    const { NODE_ENV: _, WRAPPING_TOKEN_FILE: __, ...environment } = machines.env('none');
    const lines = Object.entries(environment).map(([name, value]) => `${name}=${value}\n`);
    put('etc/orders/environment', lines.join(''));
    copyFileSync(join(company.folder, 'delivery-token'), join(root, 'etc/orders/delivery-token'));
    put('opt/orders/deliver.sh', readSample('17-production/deliver.sh'));
    symlinkSync(sampleFile('15-local/dist'), join(root, 'opt/orders/dist'));
    symlinkSync(process.execPath, join(root, 'usr/bin/node'));
    const script = join(ROOT, 'test/deployments/systemctl.mjs');
    put(
      'usr/bin/systemctl',
      `#!/bin/sh
exec '${process.execPath}' '${script}' "$@"
`,
    );
    // The files have ports of 3001 on; another program may use these here.
    const prefix = await freePrefix();
    put(
      'etc/systemd/system/orders@.service',
      readSample('17-production/orders@.service').replace('PORT=300', `PORT=${prefix}`),
    );
    put('rolling-restart.sh', readSample('17-production/rolling-restart.sh').replace(':300$', `:${prefix}$`));
    return new UnitMachine(company, root, prefix);
  }

  rollingRestart(): Promise<Ended> {
    return this.#run(join(this.#root, 'rolling-restart.sh'));
  }

  async stop(): Promise<void> {
    for (const instance of INSTANCES) await this.#run('systemctl', 'stop', `orders@${instance}`);
  }

  /** All that an instance has printed. */
  log(instance: string): string {
    return readFileSync(join(this.#root, `run/orders@${instance}.log`), 'utf8');
  }

  /**
   * A request through a load balancer: instances in turn. A request whose connection was refused or reset goes to the next
   * one, as with nginx (`proxy_next_upstream error`). Resolves with the status.
   */
  async request(number: number): Promise<number> {
    const order = INSTANCES.map((_one, index) => this.#ports[(number + index) % INSTANCES.length]);
    for (const port of order) {
      const status = await answer(`http://127.0.0.1:${port}/orders`);
      if (status !== undefined) return status;
    }
    throw new Error('No instance answers.');
  }

  #run(command: string, ...args: string[]): Promise<Ended> {
    const bin = `${join(this.#root, 'usr/bin')}:${this.#company.path}`;
    return this.#company.run(command, args, { PATH: bin, UNIT_ROOT: this.#root }).ended;
  }
}

const agent = new Agent({ keepAlive: false });

/** The status of an answer; undefined if there is none. */
function answer(url: string): Promise<number | undefined> {
  return new Promise((resolve) =>
    get(url, { agent }, (response) => {
      response.resume();
      response.once('close', () => resolve(response.complete ? response.statusCode : 0));
    }).once('error', () => resolve(undefined)),
  );
}

/** The begin of the ports of all instances: that of the files, unless one of these is in use. */
async function freePrefix(): Promise<string> {
  for (let prefix = 300; ; prefix++) {
    const free = await Promise.all(INSTANCES.map((instance) => isFree(Number(prefix + instance))));
    if (free.every(Boolean)) return String(prefix);
  }
}

function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
