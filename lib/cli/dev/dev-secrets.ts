import { createHmac, randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';

const BYTES = 32;
/** In the user's home folder. */
const FILE = join('.nestjs-vault', 'dev-key');

/**
 * The secrets of a development server, derived from a random key of this user on this machine. They stay the same over
 * restarts, so that the application's `.env` keeps working, and neither a web page nor another user can guess them.
 */
export class DevSecrets {
  readonly #owner: string;
  readonly #file: string;
  #loaded: { key: Buffer; kept: boolean } | undefined;

  /** @param owner absolute path of the server's file: another one has other secrets */
  constructor(owner: string, home: string = homedir()) {
    this.#owner = owner;
    this.#file = join(home, FILE);
  }

  /** Whether the key stays for the next start. */
  get kept(): boolean {
    return this.#load().kept;
  }

  get rootToken(): string {
    return this.#derive('root token');
  }

  readonly secretId = (appRole: string): string => this.#derive('secret_id', appRole);

  /** Derives a secret in the form of a UUID. */
  #derive(...names: readonly string[]): string {
    const text = JSON.stringify([this.#owner, ...names]);
    const hex = createHmac('sha256', this.#load().key).update(text).digest('hex');
    return [8, 4, 4, 4, 12]
      .map((length, index, lengths) => {
        const start = lengths.slice(0, index).reduce((sum, one) => sum + one, 0);
        return hex.slice(start, start + length);
      })
      .join('-');
  }

  /** Creates the key at its first use. */
  #load(): { key: Buffer; kept: boolean } {
    if (this.#loaded) return this.#loaded;
    const known = read(this.#file);
    const key = known ?? randomBytes(BYTES);
    this.#loaded = { key, kept: known !== undefined || write(this.#file, key) };
    return this.#loaded;
  }
}

function read(file: string): Buffer | undefined {
  try {
    const key = readFileSync(file);
    return key.length === BYTES ? key : undefined;
  } catch {
    return undefined;
  }
}

function write(file: string, key: Buffer): boolean {
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    writeFileSync(file, key, { mode: 0o600 });
    chmodSync(file, 0o600);
    return true;
  } catch {
    return false;
  }
}
