import { execFileSync } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { VaultError } from '../../../lib/errors/vault-error.js';
import {
  fromEnv,
  fromFile,
  fromWrappedToken,
  readSecret,
  type SecretSource,
  type SecretSourceContext,
} from '../../../lib/secret/secret-source.js';
import { Secret } from '../../../lib/secret/secret.js';
import { expectNoLeak, failureOf } from '../../support/leaks.js';

const CANARY = 'canary-1b2c3d4e';
let dir: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'nestjs-vault-source-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

function context(): SecretSourceContext & { warnings: string[] } {
  const warnings: string[] = [];
  return {
    warnings,
    warn: (message, code) => warnings.push(`${code}: ${message}`),
    send: () => Promise.reject(new Error('no request is expected')),
    reading: () => undefined,
    input: { name: 'secret_id', wrappedAt: /^auth\/approle\/role\/[^/]+\/secret-id$/ },
  };
}
const read = (source: SecretSource, using = context()) => readSecret(source, using, 'secret_id');

it.each<[string, SecretSource]>([
  ['a value', CANARY],
  ['a value with white space around it', `\n ${CANARY}\r\n`],
  ['a Secret', new Secret(CANARY)],
  ['a function', () => CANARY],
  ['a function of a Secret', () => new Secret(`${CANARY}\n`)],
  ['an async function', () => Promise.resolve(CANARY)],
  ['an async function of a Secret', () => Promise.resolve(new Secret(CANARY))],
  ['a Buffer', Buffer.from(`${CANARY}\n`)],
  ['a function of a Buffer', () => Buffer.from(`\ufeff${CANARY}`)],
  [
    'an async function of bytes in a Secret',
    () => Promise.resolve(new Secret(new TextEncoder().encode(CANARY))),
  ],
])('%s is a source', async (_name, source) => {
  expect((await read(source)).reveal()).toBe(CANARY);
});

it.each<[string, SecretSource, RegExp]>([
  ['an empty value', '  ', /secret_id is unset or empty/],
  ['an empty Secret', new Secret(''), /secret_id is unset or empty/],
  ['a function of nothing', () => undefined, /secret_id is unset or empty/],
  [
    'a function that throws',
    () => {
      throw new RangeError(CANARY);
    },
    /secret_id threw RangeError/,
  ],
  ['a function that rejects with a non-error', () => Promise.reject(CANARY), /secret_id threw string/],
  [
    'an unset variable',
    fromEnv('NESTJS_VAULT_UNSET'),
    /environment variable NESTJS_VAULT_UNSET is unset or empty/,
  ],
])('%s is unreadable, and shows nothing else', async (_name, source, message) => {
  const error = await failureOf(read(source));
  expect(error.code).toBe('VAULT_SOURCE_UNREADABLE');
  expect(error.message).toMatch(message);
  expect(error.hint).toMatch(/orchestrator/);
  expectNoLeak(error, [CANARY]);
});

const utf16 = (text: string) => Buffer.from(`\ufeff${text}`, 'utf16le');
const MISTAKES: [string, string | Uint8Array, RegExp][] = [
  ['UTF-16, little endian', utf16(CANARY), /is encoded in UTF-16, as PowerShell writes files/],
  ['UTF-16, big endian', utf16(CANARY).swap16(), /is encoded in UTF-16/],
  ['UTF-16 without a mark', Buffer.from(CANARY, 'utf16le'), /contains NUL characters/],
  ['other bytes', Buffer.from([0x63, 0xe9, 0x80, 0x20, 0x63]), /is not UTF-8 text/],
  ['two lines', `${CANARY}\n${CANARY}\n`, /contains 2 lines/],
  ['three, as Windows ends them', `a\r\n${CANARY}\r\nb`, /contains 3 lines/],
  [
    'an object in JSON',
    `{\n  "secret_id": "${CANARY}"\n}`,
    /contains an object in JSON, not the value alone/,
  ],
  ['an array', `["${CANARY}"]`, /contains an array in JSON/],
  ['a text in JSON', `"${CANARY}"`, /contains a string in JSON/],
  ['a control character', `${CANARY}\u0007x`, /contains control characters/],
];

describe.each<[string, (content: string | Uint8Array) => Promise<SecretSource>]>([
  ['a function', async (content) => () => content],
  ['a value', async (content) => content],
  [
    'fromFile',
    async (content) => {
      await writeFile(join(dir, 'mistake'), content);
      return fromFile(join(dir, 'mistake'), { deleteAfterRead: true });
    },
  ],
])('%s: a value that is not a single line of text is reported, and not sent', (name, sourceOf) => {
  it.each(MISTAKES)('%s', async (_what, content, found) => {
    const error = await failureOf(read(await sourceOf(content)));
    expect(error.code).toBe('VAULT_SOURCE_UNREADABLE');
    expect(error.message).toMatch(found);
    expect(error.hint).toMatch(/only the value, as UTF-8 and in one line/);
    expectNoLeak(error, [CANARY]);
    // Nothing was removed from it.
    if (name === 'fromFile') expect(await readFile(join(dir, 'mistake'))).toEqual(Buffer.from(content));
  });
});

it('text that resembles JSON, or a number, may be a secret', async () => {
  for (const value of ['{not-json', '12345', 'true', '"half'])
    expect((await read(() => value)).reveal()).toBe(value);
});

it.each<[string, unknown, RegExp]>([
  ['an object', { CANARY }, /secret_id is not a string \(its type is object\)/],
  ['an array', [CANARY], /its type is array/],
  ['a number', 7, /its type is number/],
])('the error of a function that returns %s names that', async (_what, value, message) => {
  const error = await failureOf(read(() => value as never));
  expect(error).toMatchObject({ code: 'VAULT_SOURCE_UNREADABLE' });
  expect(error.message).toMatch(message);
  expectNoLeak(error, [CANARY]);
});

it('a file with invalid new contents is a warning, and the previous value stays in use', async () => {
  const path = join(dir, 'spoilt');
  const source = fromFile(path);
  await writeFile(path, CANARY);
  await read(source);
  await writeFile(path, utf16('canary-of-the-next'));
  const using = context();
  expect((await read(source, using)).reveal()).toBe(CANARY);
  expect(using.warnings).toEqual([
    expect.stringMatching(/^login-input-kept: .*spoilt is encoded in UTF-16.*previous value is used/),
  ]);
  expectNoLeak(using.warnings, [CANARY, 'canary-of-the-next']);
});

describe('fromEnv with deleteAfterRead', () => {
  const NAME = 'NESTJS_VAULT_TEST_DELETED';
  const source = fromEnv(NAME, { deleteAfterRead: true });
  afterEach(() => vi.unstubAllEnvs());

  it('leaves nothing to child processes and reports, and supplies later logins from memory', async () => {
    vi.stubEnv(NAME, ` ${CANARY}\n`);
    expect((await read(source)).reveal()).toBe(CANARY);
    const child = execFileSync(process.execPath, ['-p', 'JSON.stringify(process.env)'], { encoding: 'utf8' });
    expect(child).not.toContain(CANARY);
    expect(JSON.stringify(process.report.getReport())).not.toContain(CANARY);
    expect((await read(source)).reveal()).toBe(CANARY);
  });

  it('shares the value with every source of that name, and accepts a new one', async () => {
    vi.stubEnv(NAME, 'canary-of-the-next');
    expect((await read(fromEnv(NAME, { deleteAfterRead: true }))).reveal()).toBe('canary-of-the-next');
    expect(process.env[NAME]).toBeUndefined();
    for (const other of [source, fromEnv(NAME), fromEnv(NAME, { deleteAfterRead: true })])
      expect((await read(other)).reveal()).toBe('canary-of-the-next');
    const memory: unknown = Reflect.get(globalThis, Symbol.for('nestjs-vault.environment'));
    expectNoLeak([source, memory], ['canary-of-the-next']);
  });

  it('without the option the variable is kept', async () => {
    vi.stubEnv('NESTJS_VAULT_TEST_STAYS', CANARY);
    await read(fromEnv('NESTJS_VAULT_TEST_STAYS'));
    expect(process.env['NESTJS_VAULT_TEST_STAYS']).toBe(CANARY);
  });
});

it('reports which source is read, and when it has answered', async () => {
  const sources: (string | undefined)[] = [];
  const using = { ...context(), reading: (what: string | undefined) => void sources.push(what) };
  await read(() => CANARY, using);
  const path = join(dir, 'told');
  await writeFile(path, CANARY);
  await read(fromFile(path), using);
  await failureOf(read(() => Promise.reject(new Error(CANARY)), using));
  const own = 'secret_id (a function)';
  expect(sources).toEqual([own, undefined, `file ${path}`, undefined, own, undefined]);
});

it.each([
  'hvs.CAESIJ1-canary-of-a-token',
  '3e2f6c1a-aaaa-4bbb-8ccc-dddddddddddd',
  'with white space',
  'x'.repeat(65),
])(
  'the error of fromEnv with a value (%s) in place of a name says so, and does not show it',
  async (given) => {
    const source = fromEnv(given);
    const error = await failureOf(read(source));
    expect(error).toMatchObject({ code: 'VAULT_SOURCE_UNREADABLE' });
    expect(error.message).toContain('fromEnv takes the name of one');
    expectNoLeak([error, source], [given]);
  },
);

it('an error of this package passes through a function', async () => {
  const own = new VaultError({ code: 'VAULT_CLOSED', message: 'no', hint: 'none' });
  expect(await failureOf(read(() => Promise.reject(own)))).toBe(own);
});

it('fromEnv reads again each time', async () => {
  const source = fromEnv('NESTJS_VAULT_TEST_SOURCE');
  vi.stubEnv('NESTJS_VAULT_TEST_SOURCE', ` ${CANARY} `);
  expect((await read(source)).reveal()).toBe(CANARY);
  vi.stubEnv('NESTJS_VAULT_TEST_SOURCE', 'another-value');
  expect((await read(source)).reveal()).toBe('another-value');
  vi.unstubAllEnvs();
  expect((await failureOf(read(source))).code).toBe('VAULT_SOURCE_UNREADABLE');
});

it('fromFile trims, reads again each time, and uses the last value after the file was removed', async () => {
  const path = join(dir, 'rotating');
  const source = fromFile(path);
  expect((await failureOf(read(source))).message).toContain('cannot be read (ENOENT)');
  await writeFile(path, '');
  expect((await failureOf(read(source))).message).toContain(`file ${path} is empty`);
  await writeFile(path, ` ${CANARY}\n`);
  expect((await read(source)).reveal()).toBe(CANARY);
  await writeFile(path, 'next-value');
  expect((await read(source)).reveal()).toBe('next-value');
  await writeFile(path, '\n');
  expect((await read(source)).reveal()).toBe('next-value');
  await rm(path);
  expect((await read(source)).reveal()).toBe('next-value');
  await writeFile(path, 'last-value');
  expect((await read(source)).reveal()).toBe('last-value');
});

it('fromFile does not print a secret that was given instead of its path', async () => {
  const error = await failureOf(read(fromFile(CANARY)));
  expect(error).toMatchObject({ code: 'VAULT_SOURCE_UNREADABLE' });
  expect(error.message).toContain('fromFile takes a path');
  expectNoLeak(error, [CANARY]);
});

it('H3: fromFile deletes the file on request', async () => {
  const path = join(dir, 'once');
  await writeFile(path, CANARY);
  const using = context();
  const source = fromFile(path, { deleteAfterRead: true });
  expect((await read(source, using)).reveal()).toBe(CANARY);
  await expect(readFile(path)).rejects.toMatchObject({ code: 'ENOENT' });
  expect((await read(source, using)).reveal()).toBe(CANARY);
  expect(using.warnings).toEqual([]);
});

it.skipIf(process.platform === 'win32')('H3: a file that cannot be deleted is a warning', async () => {
  // root may delete any file, but not those of /proc.
  if (process.platform === 'linux') return expectKept('/proc/self/comm');
  const path = join(dir, 'kept');
  await writeFile(path, CANARY);
  await chmod(dir, 0o500);
  try {
    await expectKept(path);
  } finally {
    await chmod(dir, 0o700);
  }
});

async function expectKept(path: string): Promise<void> {
  const using = context();
  expect((await read(fromFile(path, { deleteAfterRead: true }), using)).reveal()).not.toBe('');
  expect(using.warnings).toHaveLength(1);
  expect(using.warnings[0]).toContain(path);
  expectNoLeak(using.warnings, [CANARY]);
}

it.each<[unknown]>([
  [undefined],
  [null],
  [{}],
  [{ creation_path: 7 }],
  [{ creation_path: 'auth/approle/login' }],
])('after a look-up that answers %j, nothing is unwrapped', async (data) => {
  const sent: string[] = [];
  const send: SecretSourceContext['send'] = ({ path }) => {
    sent.push(path);
    return Promise.resolve({ data });
  };
  const error = await failureOf(read(fromWrappedToken(CANARY), { ...context(), send }));
  expect(error.code).toBe('VAULT_WRAPPING_PATH_MISMATCH');
  expect(error.hint).toMatch(
    /SECURITY.*each secret_id is made at another path.*`creationPath` of `fromWrappedToken`/,
  );
  expect(sent).toEqual(['sys/wrapping/lookup']);
  expectNoLeak(error, [CANARY]);
});

it('an unwrapped answer without a secret_id is unreadable', async () => {
  const send: SecretSourceContext['send'] = ({ path }) =>
    Promise.resolve({
      data:
        path === 'sys/wrapping/lookup'
          ? { creation_path: 'auth/approle/role/app/secret-id' }
          : { other: CANARY },
    });
  const error = await failureOf(read(fromWrappedToken(CANARY), { ...context(), send }));
  expect(error.code).toBe('VAULT_SOURCE_UNREADABLE');
  expectNoLeak(error, [CANARY]);
});
