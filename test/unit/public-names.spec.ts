import { readdirSync } from 'node:fs';
import { expect, it } from 'vitest';

const folder = new URL('../../lib/integrations/', import.meta.url);
const subpaths = readdirSync(folder).filter((name) => !['rotation', 'driver'].includes(name));

/** Adapts a pool that rotates already. */
const ADAPTERS = ['knexPool'];

it.each(subpaths)(
  'names of nestjs-vault/%s: createRotating… returns what is ready, rotating… fills an option of a library',
  async (name) => {
    const exported = (await import(new URL(`${name}/index.ts`, folder).href)) as Record<string, unknown>;
    const kinds = Object.entries(exported).map(([key, value]) => {
      const text = Function.prototype.toString.call(value);
      const kind = text.startsWith('class') ? 'class' : text.startsWith('async') ? 'async' : 'function';
      return [key, kind] as const;
    });
    const rules = { class: /^Rotating[A-Z]/, async: /^createRotating[A-Z]/, function: /^rotating[A-Z]/ };
    const wrong = kinds.filter(([key, kind]) => !rules[kind].test(key) && !ADAPTERS.includes(key));
    expect(kinds.length).toBeGreaterThan(0);
    expect(wrong).toEqual([]);
  },
);
