import fc from 'fast-check';
import { expect, it } from 'vitest';
import { distinctNames } from '../../../lib/dashboard/distinct-names.js';
import { widthOf } from '../../../lib/dashboard/text-width.js';

it.each([
  ['short names stay', ['a/creds/x', 'b/creds/x'], 20, ['a/creds/x', 'b/creds/x']],
  ['a long name is cut before its end', ['database/creds/orders-reader'], 20, ['databas…rders-reader']],
  [
    'names that look the same begin at their difference',
    ['database/creds/orders-reader-of-the-shop', 'database/creds/orders-writer-of-the-shop'],
    20,
    ['…s-reader-of-the-sh…', '…s-writer-of-the-sh…'],
  ],
  [
    'the same in their ends only',
    ['database/creds/a/orders-of-the-shop', 'database/creds/b/orders-of-the-shop'],
    18,
    ['…s/a/orders-of-th…', '…s/b/orders-of-th…'],
  ],
])('%s', (_, names, width, shown) => {
  expect([...distinctNames(names, width).values()]).toEqual(shown);
});

it('different names never look the same, and fit', () => {
  const part = fc.constantFrom(
    'database',
    'creds',
    'orders',
    'x',
    '東京',
    '🚀',
    'reader',
    'writer',
    'e\u0301',
  );
  const name = fc.array(part, { minLength: 1, maxLength: 9 }).map((parts) => parts.join('/'));
  fc.assert(
    fc.property(fc.uniqueArray(name, { maxLength: 12 }), fc.integer({ min: 8, max: 40 }), (names, width) => {
      const shown = [...distinctNames(names, width).values()];
      expect(new Set(shown).size).toBe(names.length);
      expect(Math.max(0, ...shown.map(widthOf))).toBeLessThanOrEqual(width);
    }),
  );
});
