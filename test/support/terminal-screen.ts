import type { Terminal } from '../../lib/dashboard/pinned-block.js';

const SEQUENCE = new RegExp(String.raw`^\u001B\[([?\d;]*)([A-Za-z])$`);
const SEQUENCE_OR_CHARACTER = new RegExp(String.raw`\u001B\[[?\d;]*[A-Za-z]|[^]`, 'gu');

/**
 * A terminal as a stream: it keeps the rows that a person has seen, also those that have scrolled away. It knows the
 * sequences that move the cursor and clear, and wraps long lines.
 */
export class TerminalScreen implements Terminal {
  columns: number;
  readonly rows = 40;
  #rows: string[][] = [[]];
  #row = 0;
  #column = 0;
  #wraps = true;

  constructor(columns: number) {
    this.columns = columns;
  }

  readonly write = ((text: string | Uint8Array, ...rest: unknown[]): boolean => {
    for (const [token] of String(text).matchAll(SEQUENCE_OR_CHARACTER)) this.#take(token);
    const callback = rest.find((one) => typeof one === 'function') as (() => void) | undefined;
    callback?.();
    return true;
  }) as Terminal['write'];

  /** The rows, without spaces at their ends. */
  get shown(): string[] {
    return this.#rows.map((row) =>
      Array.from(row, (character) => character ?? ' ')
        .join('')
        .trimEnd(),
    );
  }

  /** Whether a line that is too long continues in the next row, as before. */
  get wraps(): boolean {
    return this.#wraps;
  }

  /** Another width: rows that are too long are broken, as most terminals do. */
  resize(columns: number): void {
    const before = this.#rows.slice(0, this.#row).flatMap((row) => broken(row, columns));
    const after = this.#rows.slice(this.#row).flatMap((row) => broken(row, columns));
    this.#rows = [...before, ...after];
    this.#row = before.length;
    this.columns = columns;
  }

  #take(token: string): void {
    const [, count = '', command] = SEQUENCE.exec(token) ?? [];
    if (command === undefined) return this.#put(token);
    if (command === 'A') this.#row = Math.max(0, this.#row - Number(count || 1));
    else if (command === 'J') {
      this.#rows.length = this.#row + 1;
      this.#current.length = Math.min(this.#current.length, this.#column);
    } else if (command === 'K') this.#current.length = Math.min(this.#current.length, this.#column);
    else if (count === '?7') this.#wraps = command === 'h';
    else if (command !== 'm') throw new Error(`unknown sequence ${JSON.stringify(token)}`);
  }

  #put(character: string): void {
    if (character === '\r') this.#column = 0;
    else if (character === '\n') this.#down();
    else {
      if (this.#column >= this.columns) {
        if (this.#wraps) this.#down();
        else this.#column = this.columns - 1;
      }
      this.#current[this.#column++] = character;
    }
  }

  #down(): void {
    this.#row++;
    this.#column = 0;
    this.#rows[this.#row] ??= [];
  }

  get #current(): string[] {
    return this.#rows[this.#row] as string[];
  }
}

function broken(row: string[], columns: number): string[][] {
  const parts = Array.from({ length: Math.max(1, Math.ceil(row.length / columns)) }, (_, index) =>
    row.slice(index * columns, (index + 1) * columns),
  );
  return parts;
}
