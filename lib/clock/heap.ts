/** A binary heap: the first value comes before all others. */
export class Heap<T> {
  readonly #isBefore: (one: T, other: T) => boolean;
  #values: T[] = [];

  /** @param isBefore false for values in any order */
  constructor(isBefore: (one: T, other: T) => boolean) {
    this.#isBefore = isBefore;
  }

  get first(): T | undefined {
    return this.#values[0];
  }

  get size(): number {
    return this.#values.length;
  }

  /** Removes all other values. */
  keep(wanted: (value: T) => boolean): void {
    const order = (one: T, other: T) =>
      this.#isBefore(one, other) ? -1 : this.#isBefore(other, one) ? 1 : 0;
    // A sorted array is a heap.
    this.#values = this.#values.filter(wanted).sort(order);
  }

  push(value: T): void {
    const values = this.#values;
    let index = values.push(value) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!this.#isBefore(value, values[parent] as T)) break;
      values[index] = values[parent] as T;
      index = parent;
    }
    values[index] = value;
  }

  pop(): T | undefined {
    const values = this.#values;
    const [first] = values;
    const last = values.pop();
    if (last === undefined || values.length === 0) return first;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= values.length) break;
      if (child + 1 < values.length && this.#isBefore(values[child + 1] as T, values[child] as T)) child++;
      if (!this.#isBefore(values[child] as T, last)) break;
      values[index] = values[child] as T;
      index = child;
    }
    values[index] = last;
    return first;
  }
}
