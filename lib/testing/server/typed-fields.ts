import { seconds } from './duration.js';
import { Refusal } from './refusal.js';

type Values = Record<string, unknown>;

/** An integer of a text: decimal, or hexadecimal with `0x`. */
const INTEGER = /^(?:[+-]?\d+|0x[0-9a-f]+)$/i;
const LARGEST = 2 ** 63;
const TRUE = /^(?:1|t|T|TRUE|true|True)$/;
const FALSE = /^(?:0|f|F|FALSE|false|False)$/;

/**
 * Fields of a body or query, converted as the framework of the server does it: `"3"` is an integer, `[]` a map. Errors
 * have the words of OpenBao; for integers those of HashiCorp Vault are known, too.
 */
export class TypedFields {
  readonly #values: Values;
  readonly #vault: boolean;
  readonly #prefix: string;

  /** @param checkedLater where the server converts while it looks for the path, its errors have no prefix */
  constructor(values: Values, vault: boolean, checkedLater = false) {
    this.#values = values;
    this.#vault = vault;
    this.#prefix = checkedLater ? '' : 'Field validation failed: ';
  }

  has(name: string): boolean {
    return name in this.#values;
  }

  int(name: string): number {
    return this.#convert(name, (value) => this.#toInt(value, ''));
  }

  /** A list of integers, or a text with commas. */
  ints(name: string): number[] {
    return this.#convert(name, (value) => {
      const items = typeof value === 'string' ? value.split(',').filter(Boolean) : (value ?? []);
      try {
        return (Array.isArray(items) ? items : [items]).map((item, at) => this.#toInt(item, `[${at}]`));
      } catch (error) {
        throw new Error(`decoding failed due to the following error(s):\n\n${(error as Error).message}`);
      }
    });
  }

  bool(name: string): boolean {
    return this.#convert(name, (value) => {
      if (value === undefined || value === null || value === '') return false;
      const text = scalar(value, '', 'bool');
      if (TRUE.test(text)) return true;
      if (FALSE.test(text)) return false;
      throw new Error(`'' cannot parse value as 'bool': strconv.ParseBool: invalid syntax`);
    });
  }

  /** Null for a value that is null. */
  map(name: string): Values | null {
    return this.#convert(name, (value) => {
      if (value === undefined || value === null) return null;
      if (!Array.isArray(value)) return toMap(value, '');
      return Object.assign({}, ...value.map((item, at) => toMap(item, `[${at}]`))) as Values;
    });
  }

  /** Whole seconds; undefined for a value that is null. */
  duration(name: string, signed = false): number | undefined {
    return this.#convert(name, (value) => {
      if (value === undefined || value === null) return undefined;
      if (typeof value === 'object' || typeof value === 'boolean')
        throw new Error('could not parse duration from input');
      const total = Math.trunc(seconds(value));
      if (total < 0 && !signed) throw new Error(`cannot provide negative value '${total}'`);
      return total;
    });
  }

  #toInt(value: unknown, at: string): number {
    if (value === undefined || value === null || value === '') return 0;
    if (typeof value === 'boolean') return Number(value);
    const text = scalar(value, at, 'int');
    const number = INTEGER.test(text) ? Number(text) : NaN;
    if (Math.abs(number) < LARGEST) return number;
    const why = Number.isNaN(number) ? 'invalid syntax' : 'value out of range';
    throw new Error(
      this.#vault
        ? `cannot parse '${at}' as int: strconv.ParseInt: parsing ${JSON.stringify(text)}: ${why}`
        : `'${at}' cannot parse value as 'int': strconv.ParseInt: ${why}`,
    );
  }

  #convert<T>(name: string, convert: (value: unknown) => T): T {
    try {
      return convert(this.#values[name]);
    } catch (error) {
      const message = (error as Error).message;
      throw new Refusal(400, `${this.#prefix}error converting input for field "${name}": ${message}`);
    }
  }
}

function scalar(value: unknown, at: string, type: string): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  throw unconvertible(value, at, type);
}

function toMap(value: unknown, at: string): Values {
  if (typeof value === 'object' && value !== null && !(Array.isArray(value) && value.length > 0))
    return value as Values;
  throw unconvertible(value, at, 'map[string]interface {}');
}

function unconvertible(value: unknown, at: string, type: string): Error {
  return new Error(`'${at}' expected type '${type}', got unconvertible type '${goType(value)}'`);
}

/** Type of a value of JSON in Go. */
export function goType(value: unknown): string {
  if (Array.isArray(value)) return '[]interface {}';
  if (typeof value === 'number') return 'json.Number';
  if (typeof value === 'boolean') return 'bool';
  return typeof value === 'object' ? 'map[string]interface {}' : 'string';
}
