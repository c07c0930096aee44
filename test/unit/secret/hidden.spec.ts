import { inspect } from 'node:util';
import { expect, it } from 'vitest';
import { hiddenBytes, hide, printedAs, withHidden } from '../../../lib/secret/hidden.js';
import { expectNoLeak } from '../../support/leaks.js';

const CANARY = 'canary-of-a-driver';

class Config {
  host = 'here';
  declare password: string;
}

it('a driver can read a value that printers do not find', () => {
  const config = new Config();
  hide(config, { password: CANARY });
  expect(config.password).toBe(CANARY);
  expect(Object.assign({}, config)).toEqual({ host: 'here' });
  expect(inspect({ config })).toBe("{ config: Config { host: 'here' } }");
  expectNoLeak({ config }, [CANARY]);
  hide(config, { password: undefined });
  expect(config.password).toBeUndefined();
});

it('a new value that a driver assigns to a hidden property is hidden, too', () => {
  const config = new Config();
  hide(config, { password: undefined });
  config.password = CANARY;
  expectNoLeak(config, [CANARY]);
});

it('no printer, with any options, finds a property behind a proxy', () => {
  const config = withHidden(new Config(), 'password', () => CANARY);
  expect(config.password).toBe(CANARY);
  expect(config).toBeInstanceOf(Config);
  expectNoLeak({ config }, [CANARY]);
  const everything = { showHidden: true, getters: true, customInspect: false } as const;
  for (const showProxy of [true, false])
    expect(inspect(config, { ...everything, showProxy })).not.toContain(CANARY);
});

it('hidden bytes are sent unchanged, and are not printed', () => {
  const bytes = hiddenBytes(CANARY);
  expect(Buffer.concat([bytes]).toString()).toBe(CANARY);
  expect(inspect([bytes])).toBe('[ [redacted] ]');
  expect(JSON.stringify({ bytes })).toBe('{"bytes":"[redacted]"}');
});

it('an object prints as one text', () => {
  const one = printedAs('[one]', { secret: CANARY });
  expect([`${one as unknown as string}`, JSON.stringify(one), inspect(one)]).toEqual([
    '[one]',
    '"[one]"',
    '[one]',
  ]);
});
