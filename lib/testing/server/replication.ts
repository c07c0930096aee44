import { createHash } from 'node:crypto';
import type { Clock } from '../../clock/clock.js';

/** The header of a state. */
export const INDEX_HEADER = 'x-vault-index';

/** How far a performance standby is behind the node that executes the writes. */
export class Replication {
  /** Milliseconds; undefined if every node has each write at once, and states are not sent. */
  delay: number | undefined;
  /** Times of the writes. */
  readonly #writes: number[] = [];
  readonly #clock: Clock;
  readonly #clusterId: string;

  constructor(clock: Clock, clusterId: string) {
    this.#clock = clock;
    this.#clusterId = clusterId;
  }

  /** Whether the standby lacks a state that a request requires. */
  lacks(required: string | undefined): boolean {
    if (this.delay === undefined || required === undefined) return false;
    const applied = this.#clock.monotonic() - this.delay;
    return required.split(',').some((state) => {
      const [, , local = ''] = Buffer.from(state, 'base64').toString().split(':');
      return (this.#writes[Number(local) - 1] ?? Infinity) > applied;
    });
  }

  /** Records a write. Returns the headers of its answer. */
  record(): Record<string, string> {
    if (this.delay === undefined) return {};
    const state = `v1:${this.#clusterId}:${this.#writes.push(this.#clock.monotonic())}:0`;
    const signature = createHash('sha256').update(state).digest('hex');
    return { [INDEX_HEADER]: Buffer.from(`${state}:${signature}`).toString('base64') };
  }
}
