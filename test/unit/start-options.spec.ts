import { expect, it } from 'vitest';
import { NAMES } from '../../scripts/backends/index.mjs';
import { startOptions, UsageError } from '../../scripts/setup/start-options.mjs';

it.each([
  ['01-rotating-database', '01-rotating-database'],
  ['1', '01-rotating-database'],
  ['01', '01-rotating-database'],
  ['10', '10-redis'],
  ['typeorm', '02-typeorm'],
  ['TypeORM', '02-typeorm'],
  ['redis', '10-redis'],
  ['ioredis', '11-ioredis'],
  ['mongo', '13-mongodb'],
  ['02-type', '02-typeorm'],
])('npm start -- --sample %s is %s', (text, name) => {
  expect(startOptions(['--sample', text], NAMES).sample).toBe(name);
});

it.each([
  [['--wrong'], /^Unknown option '--wrong'\.\n/],
  [['typeorm'], /^Unexpected argument 'typeorm'\.\n/],
  [['--sample', 'redi'], /^--sample redi may be 10-redis, 11-ioredis\.\n/],
  [['--sample', '0'], /^npm start has no sample "0"\.\nSamples: 01-rotating-database, /],
  [['--sample', ''], /^npm start has no sample ""\.\n/],
  [['--sample', '99'], /^npm start has no sample "99"\.\n/],
  [['--for'], /^Option '--for <value>' argument missing\.\n/],
  [['--ttl', '1'], /^--ttl must be a whole number from 2 to 3600, not "1"\.\n/],
  [['--json=yes'], /^Option '--json' does not take an argument\.\n/],
] as const)('npm start -- %j is answered in two lines', (args, text) => {
  const message = (() => {
    try {
      startOptions([...args], NAMES);
    } catch (error) {
      expect(error).toBeInstanceOf(UsageError);
      return (error as Error).message;
    }
    return 'no error';
  })();
  expect(message).toMatch(text);
  expect(message.split('\n')).toHaveLength(2);
});

it('the defaults', () => {
  const defaults = { sample: NAMES[0], help: false, json: false, for: undefined, ttl: 10, port: undefined };
  expect(startOptions([], NAMES)).toEqual(defaults);
});
