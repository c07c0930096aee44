import { readFileSync, watch, type FSWatcher } from 'node:fs';
import { basename, dirname } from 'node:path';
import { token } from '../../auth/token.js';
import { systemClock } from '../../clock/clock.js';
import { withTimeout } from '../../clock/with-timeout.js';
import { codeOf, listed } from '../../errors/printable.js';
import { VaultError } from '../../errors/vault-error.js';
import { invalid } from '../invalid.js';
import { withVault } from '../../services/connect-vault.js';
import type { DevServerFile } from '../../testing/dev-server-file.js';
import type { RunSql } from '../../testing/index.js';
import { SimulatedVault } from '../../testing/simulated-vault.js';
import type { Cli } from '../command.js';
import { AdminDatabases, failedStatement } from './admin-databases.js';
import { giveVariables, type VariableFlags } from './application.js';
import type { DevSecrets } from './dev-secrets.js';
import { describeFile } from './describe.js';
import { readDevFile } from './read-file.js';
import { setUp } from './set-up.js';

/** An editor writes a file in several steps. */
const SETTLE = 100;
/** Milliseconds to drop all users at the end. */
const END_TIMEOUT = 10_000;

/** A simulated server that has the content of a file, and follows its changes. */
export class SimulatedDevServer {
  readonly #path: string;
  readonly #cli: Cli;
  readonly #secrets: DevSecrets;
  readonly #databases: AdminDatabases;
  #vault!: SimulatedVault;
  #file!: DevServerFile;
  /** Address of the listener for the set-up, which needs no free port. */
  #own = '';
  /** Content of the file that is in use; none after a failed change. */
  #text: string | undefined;
  #watcher: FSWatcher | undefined;
  #cancelReload = () => {};
  #reloading: Promise<void> = Promise.resolve();

  /** @param path absolute path of the file */
  constructor(path: string, cli: Cli, secrets: DevSecrets) {
    this.#path = path;
    this.#cli = cli;
    this.#secrets = secrets;
    this.#databases = new AdminDatabases(cli.folder);
  }

  get #name(): string {
    return basename(this.#path);
  }

  /**
   * Sets the server up, then listens.
   *
   * @throws VaultError `VAULT_CONFIG_INVALID`; nothing is left open then
   */
  async start(port: number, flags: VariableFlags): Promise<void> {
    try {
      this.#text = readFileSync(this.#path, 'utf8');
      this.#file = await readDevFile(this.#path, this.#cli.folder);
      await this.#databases.prepare(this.#file.databases ?? {});
      const { dialect = 'openbao' } = this.#file;
      this.#vault = new SimulatedVault({ dialect, rootToken: this.#secrets.rootToken, sql: this.#run });
      this.#own = await this.#vault.listen();
      await this.#apply(this.#file);
      const address = await this.#vault.listen(port).catch((error: unknown) => {
        throw notListening(port, codeOf(error));
      });
      for (const line of describeFile(this.#file, address, this.#name)) this.#cli.say(line);
      await giveVariables(this.#cli, this.#file, address, this.#secrets, flags);
      this.#watch();
    } catch (error) {
      await this.#vault?.close();
      await this.#databases.close();
      throw error;
    }
  }

  /** Ends the server, and drops the users that it created. Resolves with false if some are left. */
  async end(): Promise<boolean> {
    this.#watcher?.close();
    this.#cancelReload();
    await this.#reloading;
    await this.#vault.close();
    const late = () => new Error('late');
    const count = this.#vault.leaseCount;
    try {
      await withTimeout(this.#vault.revokeAllLeases(), END_TIMEOUT, systemClock, late);
    } catch {
      // The connections are left as they are: a database that does not answer would keep the process.
      const users = this.#vault.liveUsers.filter((name) => name.startsWith('v-'));
      this.#cli.say(`Ended, but these users could not be dropped: ${listed(users)}. Drop them yourself.`);
      return false;
    }
    await this.#databases.close();
    this.#cli.say(count > 0 ? `Ended; ${count} lease(s) revoked, with their users.` : 'Ended.');
    return true;
  }

  /** The application gets an error of the server, without the reason; this line has it. */
  readonly #run: RunSql = async (statement, database, origin) => {
    try {
      await this.#databases.run(statement, database);
    } catch (error) {
      this.#cli.say(failedStatement(origin, database, error));
      throw error;
    }
  };

  async #apply(file: DevServerFile, previous?: DevServerFile): Promise<readonly string[]> {
    for (const [path, { data, ...secret }] of Object.entries(file.leasedSecrets ?? {}))
      this.#vault.leasedSecret(path, { ...secret, data: () => ({ ...data }) });
    const options = { address: this.#own, auth: token(this.#secrets.rootToken), logger: false as const };
    return withVault(options, ({ client }) => setUp(client, file, this.#secrets.secretId, previous));
  }

  /** Watches the folder: editors replace the file by another one. */
  #watch(): void {
    this.#watcher = watch(dirname(this.#path), (_event, name) => {
      // Some systems do not name the file.
      if (name !== null && name !== this.#name) return;
      this.#cancelReload();
      this.#cancelReload = systemClock.setTimer(
        SETTLE,
        () => (this.#reloading = this.#reloading.then(() => this.#reload())),
      );
    });
  }

  async #reload(): Promise<void> {
    const { say, folder } = this.#cli;
    const ran = new Map<string, number>();
    let outcome = 'is not used, all stays as it was';
    try {
      const text = readFileSync(this.#path, 'utf8');
      if (text === this.#text) return;
      this.#text = text;
      const next = await readDevFile(this.#path, folder);
      if (next.dialect !== this.#file.dialect) say(`The new \`dialect\` of ${this.#name} needs a restart.`);
      await this.#databases.prepare(next.databases ?? {}, ran);
      outcome = 'is used in part';
      const changes = await this.#apply(next, this.#file);
      this.#file = next;
      const runs = [...ran].map(([path, count]) => `ran: ${count} statement(s) of ${path}`);
      say(`${this.#name}: ${[...changes, ...runs].join('; ') || 'nothing changed'}.`);
    } catch (error) {
      const reason = error instanceof VaultError ? error.message : `it cannot be read (${codeOf(error)})`;
      if (ran.size > 0) outcome = 'is used in part';
      // The next change is applied whatever it is, also back to the content before.
      this.#text = undefined;
      say(`The change of ${this.#name} ${outcome}: ${reason}`);
    }
  }
}

function notListening(port: number, code: string): VaultError {
  const inUse = code === 'EADDRINUSE';
  return invalid(
    inUse ? `Port ${port} is in use.` : `Port ${port} cannot be used (${code}).`,
    `Choose another one, as --port ${port + 100}, or end the program that uses it: perhaps another nestjs-vault dev.`,
  );
}
