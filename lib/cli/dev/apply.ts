import { isDeepStrictEqual } from 'node:util';
import { sleep, systemClock } from '../../clock/clock.js';
import { VaultError } from '../../errors/vault-error.js';
import { invalid } from '../invalid.js';
import type { VaultClient } from '../../session/vault-client.js';

/** A new KV engine becomes usable within these attempts, with a pause in milliseconds between them. */
const ATTEMPTS = 100;
const PAUSE = 50;

/** A value that a server is to have. */
export interface Wanted {
  /** As shown to people: `database role orders`. */
  readonly title: string;
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
  /** The value as the server shows it, if it differs from the body. */
  readonly shown?: (present: Record<string, unknown>) => Record<string, unknown>;
  /** Fields that the server never shows. */
  readonly hidden?: Readonly<Record<string, unknown>>;
}

/** Brings values to a server, and records the changes. A value that is there already is not written. */
export class Applier {
  /** The first change of each thing, by its title. */
  readonly #changes = new Map<string, string>();
  readonly #client: VaultClient;

  constructor(client: VaultClient) {
    this.#client = client;
  }

  /** One line each: `added: database role orders`. */
  get changes(): readonly string[] {
    return [...this.#changes].map(([title, how]) => `${how}: ${title}`);
  }

  /** Mounts an engine (`database`, `kv`) or an auth method (`auth/approle`), if it is missing. */
  async mount(path: string, type: string, options?: Record<string, string>): Promise<void> {
    const auth = path.startsWith('auth/');
    const listed = (await this.read(auth ? 'sys/auth' : 'sys/mounts')) ?? {};
    const present = listed[`${path.replace(/^auth\//, '')}/`] as
      { type?: unknown; options?: unknown } | undefined;
    if (present === undefined) {
      await this.#client.write(auth ? `sys/${path}` : `sys/mounts/${path}`, {
        type,
        ...(options && { options }),
      });
      if (options?.['version'] === '2') await this.#upgraded(path);
      this.note(`${auth ? 'auth method' : 'engine'} at ${path}`, 'added');
      return;
    }
    const { version = '1' } = (present.options ?? {}) as { version?: string };
    if (present.type === type && (!options || version === options['version'])) return;
    throw invalid(
      `The server has another engine at ${path}/ than the file.`,
      `The file wants ${type}${options ? `, version ${options['version']}` : ''}. Use another mount, or disable that one.`,
    );
  }

  /** Writes a value if the server has another one. With hidden fields it is written always: they may have changed. */
  async put(wanted: Wanted): Promise<void> {
    const { title, path, body, shown = (present) => present, hidden } = wanted;
    const present = await this.read(path);
    const visible = present && shown(present);
    const same =
      visible !== undefined &&
      Object.entries(body).every(([key, value]) => isDeepStrictEqual(visible[key], value));
    if (!same || hidden) await this.#client.write(path, { ...body, ...hidden });
    if (!same) this.note(title, present ? 'changed' : 'added');
  }

  async remove(title: string, path: string): Promise<void> {
    await this.#client.delete(path);
    this.note(title, 'removed');
  }

  /** Records a change; of several changes of one thing, the first. */
  note(title: string, how: 'added' | 'changed' | 'removed'): void {
    if (!this.#changes.has(title)) this.#changes.set(title, how);
  }

  /** Reads a path; undefined if the server has nothing there. */
  async read(path: string): Promise<Record<string, unknown> | undefined> {
    try {
      return (await this.#client.read<Record<string, unknown> | null>(path)).data.reveal() ?? undefined;
    } catch (error) {
      if (error instanceof VaultError && error.status === 404) return undefined;
      throw error;
    }
  }

  /** Sends a request that answers nothing if there is nothing. */
  async ask(path: string, body: object): Promise<unknown> {
    return (await this.#client.write(path, body)).data.reveal() ?? undefined;
  }

  /** A new KV engine of version 2 refuses requests for a moment. */
  async #upgraded(mount: string): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#client.read(`${mount}/config`);
        return;
      } catch (error) {
        if (attempt === ATTEMPTS) throw error;
        await sleep(systemClock, PAUSE);
      }
    }
  }
}
