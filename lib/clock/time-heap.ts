import { Heap } from './heap.js';

interface Entry<T> {
  at: number;
  /** Entries with the same time leave in the order of their arrival. */
  order: number;
  value: T;
}

/** Values by time, the earliest first. */
export class TimeHeap<T> {
  readonly #entries = new Heap<Entry<T>>((a, b) => a.at < b.at || (a.at === b.at && a.order < b.order));
  #count = 0;

  /** The time of the first entry; Infinity if the heap is empty. */
  get at(): number {
    return this.#entries.first?.at ?? Infinity;
  }

  get first(): T | undefined {
    return this.#entries.first?.value;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Removes all other entries. */
  keep(wanted: (value: T, at: number) => boolean): void {
    this.#entries.keep(({ value, at }) => wanted(value, at));
  }

  push(at: number, value: T): void {
    this.#entries.push({ at, order: this.#count++, value });
  }

  pop(): T | undefined {
    return this.#entries.pop()?.value;
  }
}
