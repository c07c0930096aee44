import { appendFileSync } from 'node:fs';
import { inspect, types } from 'node:util';
import { HIDDEN, PRINTERS } from './printers.js';

/** Counts objects and prints, and records the places where a print has a secret; not the secret. */
export class Audit {
  readonly #subject: string;
  readonly #canaries = new Map<string, string>();
  readonly #objects = new Set<string>();
  #prints = 0;
  #walked = 0;
  /** By object and secret, the printers that showed it. */
  #leaks = new Map<string, string[]>();

  constructor(subject: string) {
    this.#subject = subject;
  }

  /** @param value a secret; must not occur by chance */
  guard(name: string, value: string): void {
    if (value.length < 8) throw new Error(`The canary ${name} is too short.`);
    for (const form of formsOf(value)) this.#canaries.set(form, name);
  }

  /** Prints a value with each printer. */
  #print(name: string, value: unknown, printers: typeof PRINTERS): void {
    this.#objects.add(name);
    for (const [printer, print] of Object.entries(printers)) {
      let text: string | undefined;
      try {
        text = print(value);
      } catch (error) {
        // A printer that rejects the value (cycles, functions) may show it in its error.
        text = inspect(error, { depth: Infinity });
      }
      if (text === undefined) continue;
      this.#prints++;
      const found = this.#found(text);
      if (found !== undefined) this.#note(`${name}: ${found}`, printer);
    }
  }

  /** Prints all of them, and searches all objects reachable from each. */
  printAll(objects: Record<string, unknown>): void {
    for (const [name, value] of Object.entries(objects)) {
      this.#print(name, value, { ...PRINTERS, ...HIDDEN });
      this.#walk(name, value);
    }
  }

  /** Prints all of them during a login: for that time the driver has the password in a property. */
  printAtLogin(objects: Record<string, unknown>): void {
    for (const [name, value] of Object.entries(objects)) this.#print(name, value, PRINTERS);
  }

  /** Searches a text for secrets. */
  read(name: string, text: string): void {
    this.#objects.add(name);
    this.#prints++;
    const found = this.#found(text);
    if (found !== undefined) this.#note(`${name}: ${found}`, 'text');
  }

  /** Fails if a secret was shown since the last call; names the printers, not the secret. */
  expectClean(): void {
    const leaks = [...this.#leaks].map(
      ([what, printers]) => `${what} (${printers.length}: ${printers.join(', ')})`,
    );
    const prints = [...this.#leaks.values()].flat().length;
    this.#leaks = new Map();
    if (leaks.length > 0) throw new Error(`${prints} prints show a secret:\n${leaks.join('\n')}`);
  }

  /** Prints a line for readers, and one for the script that adds up the counts. */
  count(): void {
    const counts = { subject: this.#subject, objects: this.#objects.size, prints: this.#prints };
    const file = process.env['LEAKS_COUNTS'];
    const all = { ...counts, printers: Object.keys({ ...PRINTERS, ...HIDDEN }).length, walked: this.#walked };
    if (file) appendFileSync(file, `${JSON.stringify(all)}\n`);
  }

  /** Includes properties that are not enumerable: a value that no property holds cannot be printed. */
  #walk(name: string, root: unknown): void {
    const seen = new Set<object>();
    const pending: { path: string; value: unknown }[] = [{ path: name, value: root }];
    for (let one = pending.pop(); one; one = pending.pop()) {
      const { path, value } = one;
      if (typeof value === 'string' || ArrayBuffer.isView(value)) {
        const text =
          typeof value === 'string'
            ? value
            : Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('latin1');
        const found = this.#found(text);
        if (found !== undefined) this.#note(`${path}: ${found}`, 'a property');
      }
      if ((typeof value !== 'object' && typeof value !== 'function') || value === null) continue;
      if (seen.has(value) || value === globalThis || value === process) continue;
      seen.add(value);
      this.#walked++;
      if (types.isMap(value))
        for (const [key, inner] of value)
          pending.push({ path: `${path}.<map>`, value: key }, { path: `${path}.<map>`, value: inner });
      if (types.isSet(value))
        for (const inner of value) pending.push({ path: `${path}.<set>`, value: inner });
      if (ArrayBuffer.isView(value)) continue;
      for (const key of Reflect.ownKeys(value)) {
        const inner = Object.getOwnPropertyDescriptor(value, key)?.value as unknown;
        pending.push({ path: `${path}.${String(key)}`, value: inner });
      }
    }
  }

  #note(what: string, printer: string): void {
    this.#leaks.set(what, [...(this.#leaks.get(what) ?? []), printer]);
  }

  #found(text: string): string | undefined {
    for (const [form, name] of this.#canaries) if (text.includes(form)) return name;
    return undefined;
  }
}

/** A secret as text, and its encodings. */
function formsOf(value: string): Set<string> {
  const bytes = Buffer.from(value);
  const hex = bytes.toString('hex');
  return new Set([
    value,
    encodeURIComponent(value),
    JSON.stringify(value).slice(1, -1),
    hex,
    // The printed form of a Buffer.
    (hex.match(/../g) ?? []).join(' '),
    bytes.join(','),
    bytes.join(', '),
    bytes.toString('base64').replace(/=+$/, ''),
    bytes.toString('base64url'),
  ]);
}
