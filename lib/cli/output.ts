import { write } from 'node:fs';
import { sleep, systemClock } from '../clock/clock.js';
import { codeOf } from '../errors/printable.js';

/** Milliseconds until a full pipe that does not block is tried again. */
const PAUSE = 20;

/**
 * Writes lines to standard output and standard error, in their order. A write blocks while its reader pauses, as `less`
 * does. It therefore runs in a thread of Node's pool: renewals, signals and the end of a lease do not wait for it.
 */
export class Output {
  readonly #lines: { readonly file: number; readonly bytes: Buffer }[] = [];
  #writing: Promise<void> | undefined;
  readonly #files: { readonly results: number; readonly messages: number };

  /** @param files the file descriptors */
  constructor(files = { results: 1, messages: 2 }) {
    this.#files = files;
  }

  readonly print = (line: string): void => this.#add(this.#files.results, line);

  readonly say = (line: string): void => this.#add(this.#files.messages, line);

  /** Resolves when all lines are written, or their reader has gone. Before, `process.exit()` would wait for the thread. */
  async written(): Promise<void> {
    await this.#writing;
  }

  #add(file: number, line: string): void {
    this.#lines.push({ file, bytes: Buffer.from(`${line}\n`) });
    this.#writing ??= this.#write();
  }

  async #write(): Promise<void> {
    for (let next = this.#lines.shift(); next; next = this.#lines.shift())
      for (let left = next.bytes; left.length > 0;) left = left.subarray(await written(next.file, left));
    this.#writing = undefined;
  }
}

/** Writes the begin of the bytes. Resolves with their number; all count as written if the reader has gone. */
function written(file: number, bytes: Buffer): Promise<number> {
  return new Promise((resolve) =>
    write(file, bytes, (error, count) => {
      if (!error) resolve(count);
      else if (codeOf(error) === 'EAGAIN') void sleep(systemClock, PAUSE).then(() => resolve(0));
      else resolve(bytes.length);
    }),
  );
}
