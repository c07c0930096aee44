import { listed } from './printable.js';

/** Reports unknown options: usually a typing error, which would have no effect and be noticed late. */
export function unknownOptions(owner: string, options: unknown, known: readonly string[]): string[] {
  if (options === undefined) return [];
  if (typeof options !== 'object' || options === null) return [`\`${owner}\` takes an object of options`];
  const unknown = Object.keys(options).filter((name) => !known.includes(name));
  return unknown.length > 0 ? [`\`${owner}\` has no option ${listed(unknown, '`')}`] : [];
}

/** Reports members that are given with another type, and `NaN`, with which no comparison is true. */
export function wrongTypes(
  owner: string,
  options: object,
  types: Readonly<Record<string, 'string' | 'number' | 'boolean'>>,
): string[] {
  return Object.entries(types)
    .filter(([name, type]) => {
      const given: unknown = Reflect.get(options, name);
      return given !== undefined && (typeof given !== type || Number.isNaN(given));
    })
    .map(([name, type]) => `\`${owner}.${name}\` must be a ${type}`);
}
