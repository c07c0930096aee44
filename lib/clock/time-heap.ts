interface Entry<T> {
  at: number;
  /** Entries with the same time leave in the order of their arrival. */
  order: number;
  value: T;
}

const before = (a: Entry<unknown>, b: Entry<unknown>) => a.at < b.at || (a.at === b.at && a.order < b.order);

/** Values by time, the earliest first. */
export class TimeHeap<T> {
  #entries: Entry<T>[] = [];
  #count = 0;

  /** The time of the first entry; Infinity if the heap is empty. */
  get at(): number {
    return this.#entries[0]?.at ?? Infinity;
  }

  get first(): T | undefined {
    return this.#entries[0]?.value;
  }

  get size(): number {
    return this.#entries.length;
  }

  /** Removes all other entries. */
  keep(wanted: (value: T, at: number) => boolean): void {
    // A sorted array is a heap.
    this.#entries = this.#entries
      .filter(({ value, at }) => wanted(value, at))
      .sort((a, b) => (before(a, b) ? -1 : 1));
  }

  push(at: number, value: T): void {
    const entries = this.#entries;
    const entry = { at, order: this.#count++, value };
    let index = entries.push(entry) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (before(entries[parent] as Entry<T>, entry)) break;
      entries[index] = entries[parent] as Entry<T>;
      index = parent;
    }
    entries[index] = entry;
  }

  pop(): T | undefined {
    const entries = this.#entries;
    const first = entries[0];
    const last = entries.pop();
    if (!first || !last || entries.length === 0) return first?.value;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= entries.length) break;
      if (child + 1 < entries.length && before(entries[child + 1] as Entry<T>, entries[child] as Entry<T>))
        child++;
      if (before(last, entries[child] as Entry<T>)) break;
      entries[index] = entries[child] as Entry<T>;
      index = child;
    }
    entries[index] = last;
    return first.value;
  }
}
