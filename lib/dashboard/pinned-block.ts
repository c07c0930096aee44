import { StringDecoder } from 'node:string_decoder';
import { stripVTControlCharacters } from 'node:util';
import { systemClock, type Clock } from '../clock/clock.js';
import { cut } from './text-width.js';

/** The part of a terminal's stream that a block needs. */
export type Terminal = Pick<NodeJS.WriteStream, 'write' | 'columns'>;

type Write = NodeJS.WriteStream['write'];
type Callback = (error?: Error | null) => void;

/** Lines stay in one row each, even if a character is wider than expected. */
const NO_WRAP = '\u001B[?7l';
const WRAP = '\u001B[?7h';
const CLEAR_LINE = '\u001B[K';
const CLEAR_BELOW = '\u001B[J';
/** Characters of a line without an end. */
const LONGEST = 65_536;
/** Milliseconds: after a longer pause, a person may have stopped the process, and used the shell. */
const PAUSE = 500;

/**
 * Lines at the bottom of a terminal, below all that the process writes to the same streams. A text is written above
 * them, by whole lines, in one write together with the lines. The cursor stays visible, at the start of the line below the
 * block: so whatever ends the process, the terminal can be used as before.
 */
export class PinnedBlock {
  readonly #terminal: Terminal;
  readonly #writers: Writer[];
  readonly #clock: Pick<Clock, 'monotonic'>;
  #lines: readonly string[] = [];
  /** The number of painted lines. */
  #painted = 0;
  /** The width of the terminal at that time. */
  #columns = 0;
  #paintedAt: number;
  /** What is written above the block on the next turn of the event loop. */
  #held = '';
  #callbacks: Callback[] = [];
  #turn: NodeJS.Immediate | undefined;

  /** @param others further streams to the same terminal, such as standard error */
  constructor(
    terminal: Terminal,
    others: readonly Terminal[] = [],
    clock: Pick<Clock, 'monotonic'> = systemClock,
  ) {
    this.#terminal = terminal;
    this.#clock = clock;
    this.#paintedAt = clock.monotonic();
    const above = (text: string, callback?: Callback) => this.#paint(text, callback);
    this.#writers = [terminal, ...others].map((stream) => new Writer(stream, above));
    process.on('SIGCONT', this.#onContinued);
  }

  /** Paints these lines in place of the last ones. */
  draw(lines: readonly string[]): void {
    this.#lines = lines;
    this.#paint('');
  }

  /** Writes a line above the block. */
  print(line: string): void {
    this.#paint(`${line}\n`);
  }

  /** Leaves these lines in place of the block, and the streams as they were. */
  end(lines: readonly string[]): void {
    this.#lines = [];
    const rest = this.#writers.map((writer) => writer.end()).join('');
    this.#held += rest + lines.map((line) => `${line}\n`).join('');
    this.#flush();
    process.off('SIGCONT', this.#onContinued);
  }

  get #own(): Writer {
    return this.#writers[0] as Writer;
  }

  /** The process was stopped, and the shell has written to the terminal. The old block stays where it is. */
  readonly #onContinued = (): void => {
    this.#painted = 0;
    this.#own.original('\r\n');
    this.#flush();
  };

  /**
   * Writes a text above the block, after a pause on the next turn of the event loop: when a process continues, its timers
   * come before SIGCONT.
   */
  #paint(text: string, callback?: Callback): boolean {
    this.#held += text;
    if (callback) this.#callbacks.push(callback);
    if (this.#clock.monotonic() - this.#paintedAt < PAUSE) return this.#flush();
    this.#turn ??= setImmediate(() => this.#flush());
    return true;
  }

  #flush(): boolean {
    clearImmediate(this.#turn);
    this.#turn = undefined;
    this.#paintedAt = this.#clock.monotonic();
    const [text, callbacks] = [this.#held, this.#callbacks];
    this.#held = '';
    this.#callbacks = [];
    return this.#own.original(this.#repaint(text), (error) => callbacks.forEach((one) => one(error)));
  }

  /** The sequence that writes `text` above the block and paints the block below. */
  #repaint(text: string): string {
    const columns = this.#terminal.columns || 80;
    // A terminal that became narrower may have broken the old lines into more rows, of which the first stay then. Their
    // number is not certain before SIGWINCH has arrived, and the rows above may be lines of the log, which are never cleared.
    const up = this.#painted > 0 ? `\u001B[${this.#painted}A\r` : '';
    const partial = this.#writers.map(({ pending }) => pending).filter(Boolean);
    const lines = [...partial.map((line) => cut(visible(line), columns - 1)), ...this.#lines];
    this.#painted = lines.length;
    const block = lines.map((line) => `${line}${CLEAR_LINE}\n`).join('');
    // A row that a terminal has broken joins the next one when it becomes wider, unless it was cleared.
    const above = text === '' && columns === this.#columns ? '' : `${CLEAR_BELOW}${text}`;
    this.#columns = columns;
    return `${up}${above}${NO_WRAP}${block}${CLEAR_BELOW}${WRAP}`;
  }
}

/** What a terminal would show of an unfinished line. */
const visible = (line: string): string =>
  stripVTControlCharacters(line.slice(line.lastIndexOf('\r', line.length - 2) + 1)).replace(/\p{Cc}/gu, ' ');

/** Takes over `write` of a stream, and passes on whole lines. */
class Writer {
  readonly #stream: Terminal;
  readonly #before: PropertyDescriptor | undefined;
  readonly #write: Write;
  readonly #decoder = new StringDecoder('utf8');
  readonly #above: (text: string, callback?: Callback) => boolean;
  #pending = '';
  #ended = false;

  /** @param above writes whole lines above the block */
  constructor(stream: Terminal, above: (text: string, callback?: Callback) => boolean) {
    this.#stream = stream;
    this.#above = above;
    this.#before = Object.getOwnPropertyDescriptor(stream, 'write');
    this.#write = stream.write.bind(stream) as Write;
    stream.write = this.#intercepted as Write;
  }

  /** The begin of a line whose end was not written yet. */
  get pending(): string {
    return this.#pending;
  }

  original(text: string, callback?: Callback): boolean {
    return callback ? this.#write(text, callback) : this.#write(text);
  }

  /** @returns the unfinished line, with an end */
  end(): string {
    this.#ended = true;
    // Another package may have taken over meanwhile: then this one passes everything on.
    if (this.#stream.write === this.#intercepted) {
      if (this.#before) Object.defineProperty(this.#stream, 'write', this.#before);
      else Reflect.deleteProperty(this.#stream, 'write');
    }
    const rest = this.#pending;
    this.#pending = '';
    return rest === '' ? '' : `${rest}\n`;
  }

  readonly #intercepted = (
    chunk: string | Uint8Array,
    encoding?: BufferEncoding | Callback,
    callback?: Callback,
  ): boolean => {
    const done = typeof encoding === 'function' ? encoding : callback;
    const given = typeof encoding === 'string' ? encoding : 'utf8';
    if (this.#ended) return this.#write(chunk, given, done);
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk, given) : Buffer.from(chunk);
    const text = this.#pending + this.#decoder.write(bytes);
    const lines = text.lastIndexOf('\n') + 1;
    const end = text.length - lines > LONGEST ? text.length : lines;
    this.#pending = text.slice(end);
    const whole = text.slice(0, end);
    return this.#above(whole.endsWith('\n') || whole === '' ? whole : `${whole}\n`, done);
  };
}
