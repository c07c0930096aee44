import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { duration, durationFrom, inWords } from '../../../lib/cli/duration.js';
import { environmentOf, type EnvironmentFlags } from '../../../lib/cli/exec/environment.js';
import { folderPrefix } from '../../../lib/cli/exec/left-folders.js';
import { PrivateFiles } from '../../../lib/cli/exec/private-files.js';
import { readValues } from '../../../lib/cli/exec/read-values.js';
import { allWanted, wanted } from '../../../lib/cli/exec/wanted.js';
import { connectVault, token, type VaultError } from '../../../lib/core.js';
import { SimulatedVault } from '../../../lib/testing/index.js';

const env = wanted('variable');
const file = wanted('file');
const shown = (flags: Parameters<typeof allWanted>[0]) =>
  allWanted(flags).map(({ variable, path, key, into }) => `${variable}=${path}#${key} ${into}`);

it('a database role gives user name and password in the usual variables', () => {
  expect(shown({ database: 'orders' })).toEqual([
    'DB_USERNAME=database/creds/orders#username variable',
    'DB_PASSWORD=database/creds/orders#password variable',
  ]);
  expect(shown({ database: 'orders', mount: 'team/db', pg: true })).toEqual([
    'PGUSER=team/db/creds/orders#username variable',
    'PGPASSWORD=team/db/creds/orders#password variable',
  ]);
});

it('another variable, or a file, for the same value takes its place', () => {
  expect(shown({ database: 'orders', env: env('MYSQL_PWD=database/creds/orders#password') })).toEqual([
    'DB_USERNAME=database/creds/orders#username variable',
    'MYSQL_PWD=database/creds/orders#password variable',
  ]);
  expect(shown({ database: 'orders', file: file('DB_PASSWORD=database/creds/orders#password') })).toEqual([
    'DB_USERNAME=database/creds/orders#username variable',
    'DB_PASSWORD=database/creds/orders#password file',
  ]);
  expect(shown({ file: file('A=secret/data/app#a', file('B=secret/data/app#b#c')) })).toEqual([
    'B=secret/data/app#b#c file',
    'A=secret/data/app#a file',
  ]);
});

it.each(['A', 'A=path', '=path#key', 'A B=path#key', '1A=path#key', 'A=#key', 'A=path#'])(
  'refuses "%s" with the form that it takes',
  (text) => {
    expect(() => env(text)).toThrow(/NAME=path#key/);
  },
);

it.each<[string, Parameters<typeof allWanted>[0]]>([
  ['A', { env: env('A=path#key', env('A=path#other')) }],
  ['A', { env: env('A=path#key'), file: file('A=path#key') }],
  ['DB_PASSWORD', { database: 'orders', env: env('DB_PASSWORD=secret/data/app#key') }],
  ['PGUSER', { database: 'orders', pg: true, file: file('PGUSER=secret/data/app#key') }],
])('refuses the variable %s that is given twice: %o', (name, flags) => {
  expect(() => allWanted(flags)).toThrow(
    new RegExp(`The variable ${name} is given twice.*VAULT_CONFIG_INVALID`),
  );
});

it.each([
  'LD_PRELOAD',
  'LD_LIBRARY_PATH',
  'DYLD_INSERT_LIBRARIES',
  'NODE_OPTIONS',
  'PATH',
  'Path',
  'BASH_ENV',
])('refuses the variable %s, by which a program runs other code', (name) => {
  expect(() => env(`${name}=secret/data/app#key`)).toThrow(/run their own/);
  expect(() => file(`${name}=secret/data/app#key`)).toThrow(/run their own/);
});

describe('the environment of the program', () => {
  const SECRETS = ['TOKEN', 'SECRET_ID', 'HEADERS', 'CLIENT_KEY_BYTES', 'PROXY_ADDR', 'HTTP_PROXY', 'MFA'];
  const canaries = Object.fromEntries(
    SECRETS.flatMap((name) => [`VAULT_${name}`, `BAO_${name}`]).map((name) => [name, 'canary-41']),
  );
  const rest = {
    VAULT_ADDR: 'https://vault:8200',
    BAO_CACERT: '/ca.pem',
    HTTP_PROXY: 'http://proxy',
    PATH: '/bin',
  };
  const of = (flags: EnvironmentFlags, value = '1') => {
    const cli = { env: { ...rest, ...canaries }, folder: '.' };
    const files = new PrivateFiles({}, () => {});
    try {
      return environmentOf([{ ...env('A=path#key')[0]!, value }], flags, files, cli);
    } finally {
      files.remove();
    }
  };

  it('has no variable with a secret of the login or of the connection', () => {
    expect(of({})).toEqual({ ...rest, A: '1' });
  });

  it('can have no value with a zero byte', () => {
    const value = 'canary-44\0';
    expect(() => of({}, value)).toThrow(/^The value of A has a zero byte/);
    expect(() => of({}, value)).not.toThrow(/canary/);
  });

  it('has them with --keep-login', () => {
    expect(of({ keepLogin: true })).toEqual({ ...rest, ...canaries, A: '1' });
  });
});

describe('files of a command', () => {
  const place = mkdtempSync(join(tmpdir(), 'nestjs-vault-exec-spec-'));
  afterAll(() => rmSync(place, { recursive: true }));

  it('are removed one by one: a folder in the place of one stays, and is named', () => {
    const said: string[] = [];
    const files = new PrivateFiles({ XDG_RUNTIME_DIR: place }, (line) => said.push(line));
    const replaced = join(place, 'replaced.env');
    files.variables(replaced, { A: '1' });
    files.value('KEY', 'canary-45');
    files.variables(join(place, 'last.env'), { A: '1' });
    rmSync(replaced);
    mkdirSync(replaced);
    files.remove();
    expect(readdirSync(place)).toEqual(['replaced.env']);
    expect(said).toEqual([expect.stringContaining(`${replaced} cannot be removed`)]);
  });

  it('have a hint that fits the reason', () => {
    const files = new PrivateFiles({ XDG_RUNTIME_DIR: place }, () => {});
    const hintOf = (path: string): unknown => {
      try {
        return files.variables(path, { A: '1' });
      } catch (error) {
        return (error as VaultError).hint;
      } finally {
        files.remove();
      }
    };
    writeFileSync(join(place, 'taken.env'), '');
    expect(hintOf(join(place, 'taken.env'))).toMatch(/must not exist/);
    expect(hintOf(join(place, 'nothing/a.env'))).toMatch(/folder must exist/);
    expect(readdirSync(place)).toContain('taken.env');
  });
});

describe.runIf(process.platform === 'linux')('folders that a killed run has left', () => {
  const place = mkdtempSync(join(tmpdir(), 'nestjs-vault-exec-spec-'));
  afterAll(() => rmSync(place, { recursive: true }));
  const [, , space, pid, start] = folderPrefix().split('-') as [string, string, string, string, string];
  const put = (name: string) => {
    const path = join(place, name);
    mkdirSync(path, { mode: 0o700 });
    writeFileSync(join(path, 'KEY'), 'canary-42');
    return name;
  };
  const GONE = String(2 ** 22 + 1);
  const clean = () => {
    new PrivateFiles({ XDG_RUNTIME_DIR: place }, () => {}).remove();
    return readdirSync(place).toSorted();
  };

  it('are removed if their process is gone, or its number has been used again', () => {
    put(`nestjs-vault-${space}-${GONE}-${start}-aaaaaa`);
    put(`nestjs-vault-${space}-${pid}-1-aaaaaa`);
    expect(clean()).toEqual([]);
  });

  it('stay if they may belong to somebody else', () => {
    const outside = put('outside');
    const open = put(`nestjs-vault-${space}-${GONE}-${start}-open`);
    chmodSync(join(place, open), 0o755);
    const link = `nestjs-vault-${space}-${GONE}-${start}-link`;
    symlinkSync(join(place, outside), join(place, link));
    const others = [
      put(`nestjs-vault-${space}-${pid}-${start}-running`),
      put(`nestjs-vault-${'0'.repeat(16)}-${GONE}-${start}-elsewhere`),
      put('nestjs-vault-aaaaaa'),
    ];
    expect(clean()).toEqual([outside, open, link, ...others].toSorted());
    expect(readdirSync(join(place, outside))).toEqual(['KEY']);
    for (const name of others) expect(readdirSync(join(place, name))).toEqual(['KEY']);
  });

  it.runIf(process.geteuid?.() === 0)('stay if they belong to another user', () => {
    const name = put(`nestjs-vault-${space}-${GONE}-${start}-user`);
    chownSync(join(place, name), 12_345, 12_345);
    expect(clean()).toContain(name);
  });

  it('are named by the run that made them, so that the next one finds them', () => {
    const files = new PrivateFiles({ XDG_RUNTIME_DIR: place }, () => {});
    try {
      const path = files.value('KEY', 'canary-43');
      expect(basename(dirname(path))).toMatch(new RegExp(`^nestjs-vault-${space}-${pid}-${start}-`));
      const written = join(place, 'written.env');
      files.variables(written, { A: '1' });
      expect(files.staying).toContain(`${dirname(path)} (the next nestjs-vault exec removes it)`);
      expect(files.staying).toContain(`${written} (delete it then)`);
      expect(files.staying).not.toContain('canary');
    } finally {
      files.remove();
    }
    expect(files.staying).toBeUndefined();
  });
});

it('reads durations with a unit', () => {
  expect(['90s', '10m', '2h'].map(duration)).toEqual([90_000, 600_000, 7_200_000]);
  for (const wrong of ['10', 's', '-1s', '1.5m', '1d', '']) expect(() => duration(wrong)).toThrow(/90s/);
  expect(durationFrom(2)('2s')).toBe(2_000);
  expect(() => durationFrom(2)('1s')).toThrow(/at least 2s/);
  expect([inWords(1_499), inWords(119_000), inWords(600_000)]).toEqual(['1 s', '119 s', '10 min']);
});

it('reads leases, both versions of KV, and texts of other types', async () => {
  const server = new SimulatedVault();
  server.databaseRole('orders');
  server.kv().put('app', { key: 'two', port: 5432, nested: { key: 'x' } });
  server.kv('kv1', 1).put('app', { key: 'one' });
  const vault = await connectVault({ address: await server.listen(), auth: token('root'), logger: false });
  try {
    const read = async (...texts: string[]) =>
      (
        await readValues(
          vault,
          texts.map((text) => env(text)[0]!),
        )
      ).map(({ value }) => value);
    expect(await read('A=secret/data/app#key', 'B=kv1/app#key', 'C=secret/data/app#port')).toEqual([
      'two',
      'one',
      '5432',
    ]);
    const [user, password, again] = await read(
      'U=database/creds/orders#username',
      'P=database/creds/orders#password',
      'V=database/creds/orders#username',
    );
    expect(server.liveUsers).toEqual([user]);
    expect(again).toBe(user);
    expect(password).not.toBe('');
    await expect(read('A=secret/data/app#nothing')).rejects.toMatchObject({
      code: 'VAULT_SECRET_KEY_MISSING',
      hint: 'Existing keys: key, port, nested.',
    });
    await expect(read('A=secret/data/app#nested')).rejects.toMatchObject({
      code: 'VAULT_SECRET_KEY_MISSING',
    });
  } finally {
    await vault.close();
    await server.close();
  }
});
