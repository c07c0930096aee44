import { background } from '../clock/background.js';
import { runIsolated } from '../clock/run-isolated.js';

/** The holds of consumers on one lease. */
export class LeaseHolds {
  #count = 0;
  #drain = 0;
  #endings: Set<() => void> | undefined;
  #onDrained: (() => void) | undefined;

  get count(): number {
    return this.#count;
  }

  /** Milliseconds: the longest drain time of its consumers so far. */
  get drain(): number {
    return this.#drain;
  }

  /**
   * @param drain milliseconds
   * @param onEnding called by {@link notifyEnding}, unless the hold was released before
   * @returns releases the hold
   */
  add(drain: number, onEnding: (() => void) | undefined): () => void {
    let held = true;
    this.#count++;
    // Not Math.max: one NaN would stay, and take the drain time of all others.
    if (drain > this.#drain) this.#drain = drain;
    if (onEnding) (this.#endings ??= new Set()).add(onEnding);
    return () => {
      if (!held) return;
      held = false;
      if (onEnding) this.#endings?.delete(onEnding);
      if (--this.#count > 0) return;
      const drained = this.#onDrained;
      this.#onDrained = undefined;
      if (drained) background(drained);
    };
  }

  /** Calls `callback` once, when the last hold is released. */
  whenDrained(callback: () => void): void {
    this.#onDrained = callback;
  }

  /** Calls `onEnding` of all holds, once. */
  notifyEnding(): void {
    const endings = this.#endings ?? [];
    this.#endings = undefined;
    for (const notify of endings) runIsolated(notify);
  }
}
