import fc from 'fast-check';

/** A secret given as an option by mistake. */
export const MISPLACED = 'hvs.canary-misplaced';

/** Thrown by getters of such values. */
export const OWN_ERROR = new TypeError(MISPLACED);

/** For options, a source, a list or an auth method. Its getters are on the prototype, as reports read own members. */
class Treacherous {
  get address(): never {
    throw OWN_ERROR;
  }

  get read(): never {
    throw OWN_ERROR;
  }

  get login(): never {
    throw OWN_ERROR;
  }

  get secretId(): never {
    throw OWN_ERROR;
  }

  get path(): never {
    throw OWN_ERROR;
  }
}

/** Odd values, some of which throw on any access. */
export const ODD_VALUES: fc.Arbitrary<unknown> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.anything({ withBigInt: true, withDate: true, withMap: true, withNullPrototype: true }),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom<unknown>(
      Symbol('x'),
      () => MISPLACED,
      MISPLACED,
      `${MISPLACED}\r\nforged`,
      '/'.repeat(10_000),
      'x'.repeat(10_000),
      { toString: 1 },
      { toString: () => ({}), length: 2 },
      new Treacherous(),
      NaN,
      -1,
      Infinity,
      1.5,
      2 ** 40,
    ),
  },
);
