import { Console } from 'node:console';
import { setImmediate } from 'node:timers/promises';
import { Writable } from 'node:stream';
import { inspect } from 'node:util';
import { ConsoleLogger, Logger, type LoggerService } from '@nestjs/common';
import { WinstonModule } from 'nest-winston';
import pino from 'pino';
import winston from 'winston';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { NestLogger } from '../../../lib/discovery/nest-logger.js';
import { VaultLogLine } from '../../../lib/events/log-line.js';
import type { LogLevel } from '../../../lib/events/log-lines.js';
import { write, type VaultLogger } from '../../../lib/events/logger.js';

const TEXT = '[default] database/creds/orders: rotated (max-ttl), lease 2 until 2026-11-30T19:00:00Z';
const MEMBERS = {
  connection: 'default',
  path: 'database/creds/orders',
  lease: 2,
  reason: 'max-ttl',
  validUntil: '2026-11-30T19:00:00.000Z',
  next: 'renew',
  nextAt: '2026-11-30T18:40:00.000Z',
} as const;
const FIELDS = { code: 'rotated', ...MEMBERS };
const LEVELS = ['debug', 'log', 'warn', 'error'] as const;
// Each logger gets its own, as some change what they get.
const line = (level?: LogLevel) =>
  new VaultLogLine('rotated', TEXT.slice('[default] '.length), MEMBERS, level);

const DEFAULT: LoggerService = (Logger as unknown as { staticInstanceRef: LoggerService }).staticInstanceRef;
afterEach(() => Logger.overrideLogger(DEFAULT));

function sink() {
  const written: string[] = [];
  const stream = new Writable({
    write(chunk, _encoding, done) {
      written.push(String(chunk).trimEnd());
      done();
    },
  });
  return { written, stream };
}

/** The output of Nest's logger, one entry for each write. */
function nest(logger: LoggerService, log: (own: VaultLogger) => void): string[] {
  const written: string[] = [];
  const spies = [process.stdout, process.stderr].map((stream) =>
    vi.spyOn(stream, 'write').mockImplementation((chunk) => written.push(String(chunk).trimEnd()) > 0),
  );
  Logger.overrideLogger(logger);
  try {
    log(new NestLogger());
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
  return written;
}

const each = (logger: VaultLogger) => {
  for (const level of LEVELS) write(logger, line(level));
};

describe("Nest's logger", () => {
  it('as a text: one line, as a string would make it', () => {
    for (const colors of [false, true]) {
      const ofLines = nest(new ConsoleLogger({ colors }), each);
      const ofStrings = nest(new ConsoleLogger({ colors }), () => {
        const plain = new Logger('VaultModule');
        for (const level of LEVELS) plain[level](TEXT);
      });
      expect(ofLines).toHaveLength(4);
      expect(ofLines).toEqual(ofStrings);
    }
  });

  it('as JSON: each member is a field', () => {
    const written = nest(new ConsoleLogger({ json: true }), each);
    expect(written.map((one) => JSON.parse(one) as object)).toEqual(
      LEVELS.map((level) => ({
        level,
        pid: process.pid,
        timestamp: expect.any(Number),
        context: 'VaultModule',
        message: { message: TEXT, ...FIELDS },
      })),
    );
  });

  it('as JSON with colours, for people: nothing is left out', () => {
    const [written] = nest(new ConsoleLogger({ json: true, colors: true }), each);
    for (const [name, value] of Object.entries(FIELDS)) {
      expect(written).toContain(name);
      expect(written).toContain(String(value));
    }
    expect(written).not.toContain('[Object]');
  });

  it('with `redact`', () => {
    const [written = ''] = nest(new ConsoleLogger({ json: true, redact: ['password'] }), each);
    expect(JSON.parse(written)).toMatchObject({ message: { message: TEXT, ...FIELDS } });
  });

  it('keeps lines of before it was chosen', () => {
    const kept: unknown[] = [];
    Logger.attachBuffer();
    write(new NestLogger(), line());
    const written = nest(new ConsoleLogger({ colors: false }), () => {
      Logger.overrideLogger({ log: (...parts: unknown[]) => kept.push(parts), warn() {}, error() {} });
      Logger.flush();
    });
    expect({ written, kept }).toEqual({ written: [], kept: [[line(), 'VaultModule']] });
  });

  it('none at all', () => {
    Logger.overrideLogger(false);
    expect(() => each(new NestLogger())).not.toThrow();
  });
});

const winstonIn = (stream: Writable, format = winston.format.json()) => ({
  level: 'debug',
  format,
  transports: [new winston.transports.Stream({ stream })],
});

describe.each([
  ['winston', (stream: Writable) => winston.createLogger(winstonIn(stream)), {}],
  [
    'nest-winston',
    (stream: Writable) => {
      Logger.overrideLogger(WinstonModule.createLogger(winstonIn(stream)));
      return new NestLogger();
    },
    { context: 'VaultModule' },
  ],
] as const)('%s', (_, create, more) => {
  it('as JSON: the text is its message, each member a field', () => {
    const { written, stream } = sink();
    each(create(stream));
    // nest-winston adds an empty stack to errors.
    const parsed = written.map((one) => ({ ...(JSON.parse(one) as object), stack: undefined }));
    expect(parsed).toEqual(
      ['debug', 'info', 'warn', 'error'].map((level) => ({ level, message: TEXT, ...FIELDS, ...more })),
    );
  });
});

it('winston as a text: the message, and the members behind it', () => {
  const { written, stream } = sink();
  write(winston.createLogger(winstonIn(stream, winston.format.simple())), line());
  const [, text, fields = ''] = /^info: (.*?) (\{.*\})$/.exec(written[0] ?? '') ?? [];
  expect(text).toBe(TEXT);
  expect(JSON.parse(fields)).toEqual(FIELDS);
});

describe('pino', () => {
  const parsed = (written: string[]) => written.map((one) => JSON.parse(one) as object);
  const levels = [20, 30, 40, 50];

  it.each(['msg', 'message'])('the text is its `%s`, each member a field', (messageKey) => {
    const { written, stream } = sink();
    each(pino({ level: 'debug', messageKey, base: null, timestamp: false }, stream));
    expect(parsed(written)).toEqual(levels.map((level) => ({ level, [messageKey]: TEXT, ...FIELDS })));
  });

  it('in a child, and below its level', () => {
    const { written, stream } = sink();
    each(pino({ level: 'warn', base: null, timestamp: false }, stream).child({ module: 'vault' }));
    expect(parsed(written)).toEqual(
      [40, 50].map((level) => ({ level, module: 'vault', msg: TEXT, ...FIELDS })),
    );
  });
});

describe('other loggers', () => {
  it('`console`: the text', () => {
    const { written, stream } = sink();
    each(new Console({ stdout: stream, stderr: stream }));
    expect(written).toEqual([TEXT, TEXT, TEXT, TEXT]);
  });

  it('a logger that expects strings can make one of it', () => {
    const written: string[] = [];
    const log = (one: unknown) => void written.push(`${one as string}`, String(one), JSON.stringify(one));
    write({ error: log, warn: log, log }, line());
    expect(written).toEqual([TEXT, TEXT, JSON.stringify({ message: TEXT, ...FIELDS })]);
  });

  it('within another object, the members', () => {
    expect(inspect({ line: line() }, { breakLength: Infinity })).toBe(
      inspect({ line: { message: TEXT, ...FIELDS } }, { breakLength: Infinity }),
    );
  });

  it('a logger that throws harms no one, and no line is lost', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const broken = () => {
      throw new TypeError('line.startsWith is not a function');
    };
    write({ error: broken, warn: broken, log: broken }, line());
    // A method may be asynchronous: its type is that of a method without a result.
    const later = async () => Promise.reject(new TypeError('the disk is full'));
    write({ error: later, warn: later, log: later }, line());
    await setImmediate();
    const text = `The logger of nestjs-vault threw TypeError. Its line: ${TEXT}`;
    expect(warn.mock.calls).toEqual([[text], [text]]);
    warn.mockRestore();
  });
});
