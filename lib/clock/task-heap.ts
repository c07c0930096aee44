/** Something with a time. */
interface Timed {
  readonly at: number;
}

/** Values by their own time, the earliest first; in any order where times are equal. */
export class TaskHeap<T extends Timed> {
  #values: T[] = [];

  get first(): T | undefined {
    return this.#values[0];
  }

  get size(): number {
    return this.#values.length;
  }

  /** Removes all other values. */
  keep(wanted: (value: T) => boolean): void {
    // A sorted array is a heap.
    this.#values = this.#values.filter(wanted).sort((one, next) => one.at - next.at);
  }

  push(value: T): void {
    const values = this.#values;
    let index = values.push(value) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if ((values[parent] as T).at <= value.at) break;
      values[index] = values[parent] as T;
      index = parent;
    }
    values[index] = value;
  }

  pop(): T | undefined {
    const values = this.#values;
    const [first] = values;
    const last = values.pop();
    if (!last || values.length === 0) return first;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= values.length) break;
      if (child + 1 < values.length && (values[child + 1] as T).at < (values[child] as T).at) child++;
      if ((values[child] as T).at >= last.at) break;
      values[index] = values[child] as T;
      index = child;
    }
    values[index] = last;
    return first;
  }
}
