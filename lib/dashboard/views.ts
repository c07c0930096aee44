import type { VaultEvent } from '../events/events.js';
import type { VaultStatus } from '../events/status.js';
import { jsonLine } from './dashboard-json.js';
import { eventLine } from './event-line.js';
import { PinnedBlock, type Terminal } from './pinned-block.js';
import { remainingLines, type Remaining } from './remaining.js';
import { renderDashboard } from './render-dashboard.js';

/** What a view shows at one time. */
export interface Picture {
  now: Date;
  status: VaultStatus;
  /** Whether the status has changed since the last picture. */
  changed: boolean;
  note: string;
}

/** One way to show a dashboard. */
export interface View {
  /** Milliseconds between two pictures. */
  readonly every: number;
  event(event: VaultEvent): void;
  show(picture: Picture): void;
  /** The last picture, if there was one, and what the process leaves. */
  end(picture: Picture | undefined, remaining: readonly Remaining[]): void;
}

/** Milliseconds. */
const REPAINT = 200;
const STATUS_AT_MOST = 1_000;
const NOTE = 5_000;
/** A block with more secrets and pools is painted less often. */
const MANY = 1_000;
const REPAINT_OF_MANY = 2_000;

/** A block at the bottom of the terminal. */
export class LiveView implements View {
  readonly #terminal: Terminal & { rows?: number };
  readonly #block: PinnedBlock;
  readonly #events: boolean;
  readonly #startedAt: number;
  #shown = '';
  #many = false;

  constructor(terminal: Terminal, others: readonly Terminal[], events: boolean, startedAt: number) {
    this.#terminal = terminal;
    this.#block = new PinnedBlock(terminal, others);
    this.#events = events;
    this.#startedAt = startedAt;
  }

  get every(): number {
    return this.#many ? REPAINT_OF_MANY : REPAINT;
  }

  event(event: VaultEvent): void {
    if (!this.#events) return;
    const line = eventLine(event, this.#startedAt, this.#columns, true);
    if (line !== undefined) this.#block.print(line);
  }

  show(picture: Picture): void {
    const { connections } = picture.status;
    this.#many = connections.some(({ leases, pools }) => leases.length + pools.length > MANY);
    const lines = this.#render(picture);
    const text = `${this.#columns}\n${lines.join('\n')}`;
    if (text === this.#shown) return;
    this.#shown = text;
    this.#block.draw(lines);
  }

  end(picture: Picture | undefined, remaining: readonly Remaining[]): void {
    const last = picture ? this.#render({ ...picture, note: '' }) : [];
    this.#block.end([...last, ...(picture ? remainingLines(remaining, picture.now.getTime()) : [])]);
  }

  get #columns(): number {
    return this.#terminal.columns || 80;
  }

  #render({ status, now, note }: Picture): string[] {
    // The log keeps at least half of the terminal.
    const lines = Math.max(4, Math.floor((this.#terminal.rows ?? 24) / 2));
    return renderDashboard(status, { now, columns: this.#columns, lines, color: true, note });
  }
}

/** Lines without a block. */
export class LineView implements View {
  readonly every = NOTE;
  readonly #write: (line: string) => void;
  readonly #events: boolean;
  readonly #startedAt: number;

  constructor(write: (line: string) => void, events: boolean, startedAt: number) {
    this.#write = write;
    this.#events = events;
    this.#startedAt = startedAt;
  }

  event(event: VaultEvent): void {
    const line = this.#events ? eventLine(event, this.#startedAt, undefined, false) : undefined;
    if (line !== undefined) this.#write(line);
  }

  show({ note, now }: Picture): void {
    const seconds = ((now.getTime() - this.#startedAt) / 1_000).toFixed(1);
    if (note !== '') this.#write(`${`${seconds}s`.padStart(7)}  ${note}`);
  }

  end(picture: Picture | undefined, remaining: readonly Remaining[]): void {
    if (picture) for (const line of remainingLines(remaining, picture.now.getTime())) this.#write(line);
  }
}

/** A line of JSON for each event and each change of the status. */
export class JsonView implements View {
  readonly every = STATUS_AT_MOST;
  readonly #write: (line: string) => void;
  readonly #onEnd: () => void;
  #noteAt = 0;

  constructor(write: (line: string) => void, onEnd: () => void) {
    this.#write = write;
    this.#onEnd = onEnd;
  }

  event(event: VaultEvent): void {
    this.#write(jsonLine(event));
  }

  show({ now, status, changed, note }: Picture): void {
    if (changed) this.#write(jsonLine({ type: 'status', at: now, ...status }));
    if (note === '' || now.getTime() - this.#noteAt < NOTE) return;
    this.#noteAt = now.getTime();
    this.#write(jsonLine({ type: 'note', at: now, text: note }));
  }

  end(picture: Picture | undefined, remaining: readonly Remaining[]): void {
    if (picture?.changed) this.show(picture);
    if (picture && remaining.length > 0)
      this.#write(jsonLine({ type: 'remaining', at: picture.now, connections: remaining }));
    this.#onEnd();
  }
}
