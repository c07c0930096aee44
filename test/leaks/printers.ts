import assert from 'node:assert';
import { Console } from 'node:console';
import { Writable } from 'node:stream';
import { format, inspect, types, type InspectOptions } from 'node:util';
import { ConsoleLogger } from '@nestjs/common';
import { processError } from '@vitest/utils/error';
import pino from 'pino';
import { expect, vi } from 'vitest';
import winston from 'winston';

/**
 * Deeper than any logger goes by default. Printers visit what several objects share once for each, so that the time
 * multiplies with each level; beyond it the audit looks at properties itself.
 */
const DEPTH = 4;
/** Includes properties that are not enumerable. */
const EVERYTHING: InspectOptions = {
  depth: DEPTH,
  showHidden: true,
  getters: true,
};
const MESSAGE = Symbol.for('message');

/** The text that a sink received while `write` ran. */
function collected(write: (sink: Writable) => void): string {
  let text = '';
  const sink = new Writable({
    write(chunk, _encoding, done) {
      text += String(chunk);
      done();
    },
  });
  write(sink);
  return text;
}

/** The only printer that shows hidden properties and ignores the object's own inspect method. */
export const HIDDEN: Record<string, (value: unknown) => string> = {
  'console.dir, everything': (value) => collected((stdout) => new Console({ stdout }).dir(value, EVERYTHING)),
};

/** The text written to stdout and stderr while `print` runs. */
function captured(print: () => void): string {
  let text = '';
  const spies = [process.stdout, process.stderr].map((stream) =>
    vi.spyOn(stream, 'write').mockImplementation((chunk) => Boolean((text += String(chunk)))),
  );
  try {
    print();
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
  return text;
}

/** The text of a thrown value, as reporters print it. */
function thrown(act: () => void): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  return undefined;
}

/** Every string and number of enumerable properties, as serialisers of crash reporters collect them. */
function enumerated(value: unknown): string {
  const seen = new Set<unknown>();
  const found: string[] = [];
  const visit = (one: unknown): void => {
    if (typeof one === 'string' || typeof one === 'number') found.push(String(one));
    if (typeof one !== 'object' || one === null || seen.has(one)) return;
    seen.add(one);
    if (ArrayBuffer.isView(one)) return void found.push(inspect(one, { maxArrayLength: Infinity }));
    for (const [key, inner] of Object.entries(one)) {
      found.push(key);
      visit(inner);
    }
    if (types.isMap(one) || types.isSet(one)) for (const inner of one) visit(inner);
  };
  visit(value);
  return found.join('\n');
}

/** Limit for assert, which takes minutes for the message of a larger value: it goes 1,000 levels deep. */
const TOO_BIG = 50_000;

/** The message of assert for a value, if that is not too large. */
function asserted(value: unknown, say: () => string): string | undefined {
  const text = inspect(value, { depth: DEPTH, getters: true, customInspect: false });
  return text.length > TOO_BIG ? undefined : say();
}

/** The ways in which loggers, crash reporters and test runners print a value; undefined if one skips it. */
export const PRINTERS: Record<string, (value: unknown) => string | undefined> = {
  'String()': (value) => String(value),
  'template string': (value) => `${value as string}`,
  'JSON.stringify': (value) => JSON.stringify(value),
  'JSON.stringify of an error': (value) =>
    value instanceof Error ? JSON.stringify(value, Object.getOwnPropertyNames(value)) : undefined,
  inspect: (value) => inspect(value),
  'inspect, deep': (value) => inspect(value, { depth: DEPTH }),
  'inspect, everything': (value) => inspect(value, EVERYTHING),
  'inspect, without custom': (value) => inspect(value, { depth: DEPTH, getters: true, customInspect: false }),
  'inspect in containers': (value) => inspect([new Map([[{ value }, new Set([value])]])], EVERYTHING),
  'inspect of a copy': (value) => inspect({ ...(value as object) }, EVERYTHING),
  'inspect of a clone': (value) => inspect(structuredClone(value), EVERYTHING),
  'format %s': (value) => format('%s', value),
  'format %o': (value) => format('%o', value),
  'format %O': (value) => format('%O', value),
  'format %j': (value) => format('%j', value),
  'console.log': (value) => collected((stdout) => new Console({ stdout }).log('value', value)),
  'console.dir': (value) => collected((stdout) => new Console({ stdout }).dir(value, { depth: DEPTH })),
  'console.table': (value) => collected((stdout) => new Console({ stdout }).table([value])),
  'entries at any depth': enumerated,
  pino: (value) => collected((sink) => pino({ level: 'trace' }, sink).info({ value }, 'value')),
  'pino err': (value) => collected((sink) => pino({ level: 'trace' }, sink).error(value)),
  'pino err with cause': (value) =>
    collected((sink) => pino(sink).error({ err: new Error('failed', { cause: value }) })),
  'pino, an error with it': (value) =>
    collected((sink) => pino(sink).error(Object.assign(new Error('failed'), { value }))),
  'Nest ConsoleLogger': (value) => captured(() => new ConsoleLogger({ depth: DEPTH }).log(value)),
  'Nest ConsoleLogger, error': (value) => captured(() => new ConsoleLogger('App').error('failed', value)),
  'Nest ConsoleLogger, JSON': (value) => captured(() => new ConsoleLogger({ json: true }).log(value)),
  'Nest ConsoleLogger, JSON with colours': (value) =>
    captured(() => new ConsoleLogger({ json: true, colors: true, depth: DEPTH }).log(value)),
  'winston JSON': (value) => wrote(winston.format.json({ maximumDepth: DEPTH }), value),
  'winston simple': (value) => wrote(winston.format.simple(), value),
  'winston prettyPrint': (value) => wrote(winston.format.prettyPrint({ depth: DEPTH }), value),
  'assert.deepStrictEqual': (value) =>
    asserted(value, () => inspect(thrown(() => assert.deepStrictEqual(value, {})))),
  'assert.strictEqual': (value) =>
    asserted(value, () => String((thrown(() => assert.strictEqual(value, 'other')) as Error).message)),
  "vitest's diff": (value) => {
    const error = thrown(() => expect(value).toBe('other'));
    const { message, diff, actual } = processError(error) as unknown as Record<string, unknown>;
    return [message, diff, actual].join('\n');
  },
  'an error by it': (value) => inspect(new Error('failed', { cause: value }), EVERYTHING),
  'errors together': (value) => inspect(new AggregateError([value, { value }], 'failed'), EVERYTHING),
  'an error with it': (value) =>
    collected((stderr) =>
      new Console({ stdout: stderr, stderr }).error(Object.assign(new Error('failed'), { value })),
    ),
  'a deep property': (value) => {
    const { message, stack, cause, hint } = (value ?? {}) as Record<string, unknown>;
    return [message, stack, hint, inspect(cause, EVERYTHING)].join('\n');
  },
};

function wrote(format: winston.Logform.Format, value: unknown): string {
  const info = { level: 'info', [Symbol.for('level')]: 'info', message: 'value', value };
  const done = winston.format
    .combine(winston.format.errors({ stack: true, cause: true }), format)
    .transform(info, {});
  return String((done as Record<symbol, unknown>)[MESSAGE]);
}
