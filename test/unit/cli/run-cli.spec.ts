import { expect, it } from 'vitest';
import { VaultError } from '../../../lib/errors/vault-error.js';
import { examples, type CliCommand } from '../../../lib/cli/command.js';
import { runCli } from '../../../lib/cli/run-cli.js';

const CANARY = 'canary-3f9a';

/** A command that fails as it is told to. */
const failing: CliCommand = {
  name: 'fail',
  define(command, cli) {
    command
      .description('fail in one way')
      .option('--database <role>', 'a role')
      .argument('<how>', 'the way')
      .action(async (how: string) => {
        if (how === 'vault')
          throw new VaultError({
            code: 'VAULT_UNREACHABLE',
            message: 'No server answers.',
            hint: 'Start it.',
          });
        if (how === 'fault') throw new TypeError(CANARY);
        if (how === 'code') return cli.exit(7);
        cli.print('it worked');
      });
    examples(command, { 'nestjs-vault fail vault': 'fails' });
  },
};
const wrapping: CliCommand = { ...failing, name: 'wrap', ownFailure: 125 };

async function run(...args: string[]) {
  const out: string[] = [];
  const err: string[] = [];
  const code = await runCli(args, [failing, wrapping], {
    env: {},
    folder: '.',
    print: (line) => out.push(line),
    say: (line) => err.push(line),
  });
  return { code, out: out.join('\n'), err: err.join('\n') };
}

it('ends with 0, and with the code that a command sets', async () => {
  expect(await run('fail', 'not')).toEqual({ code: 0, out: 'it worked', err: '' });
  expect((await run('fail', 'code')).code).toBe(7);
});

it('prints an error of the package in one line with code and hint, without a stack', async () => {
  const { code, out, err } = await run('fail', 'vault');
  expect(code).toBe(1);
  expect(out).toBe('');
  expect(err).toBe('nestjs-vault: No server answers. [VAULT_UNREACHABLE] Start it.');
});

it('prints of any other error its class and its calls, not its text', async () => {
  const { code, err } = await run('fail', 'fault');
  expect(code).toBe(1);
  expect(err).toContain('nestjs-vault: TypeError: a fault of nestjs-vault itself');
  expect(err).toContain('run-cli.spec.ts');
  expect(err).not.toContain(CANARY);
});

it('refuses wrong usage with 2, and suggests the nearest name', async () => {
  for (const args of [['fial'], ['fail', 'x', '--databse', 'orders'], ['fail'], ['fail', 'x', 'y'], []]) {
    expect(await run(...args), args.join(' ')).toMatchObject({ code: 2, out: '' });
  }
  expect((await run('fial')).err).toMatch(/^nestjs-vault: unknown command 'fial'\n\(Did you mean fail\?\)/);
  const { err } = await run('fail', 'x', '--databse', 'orders');
  expect(err).toMatch(/unknown option '--databse'\n\(Did you mean --database\?\)/);
  expect(err).toContain('See nestjs-vault fail --help.');
});

it('a command that ends with codes of another program has one code for all failures of its own', async () => {
  expect((await run('wrap', 'vault')).code).toBe(125);
  expect((await run('wrap', '--unknown')).code).toBe(125);
  expect((await run('wrap', '--help')).code).toBe(0);
});

it('prints help and version to standard output', async () => {
  const { code, out, err } = await run('fail', '--help');
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(out).toContain('Usage: nestjs-vault fail [options] <how>');
  expect(out).toContain('Examples:\n  # fails\n  nestjs-vault fail vault');
  expect((await run('--version')).out).toMatch(/^\d+\.\d+\.\d+$/);
});
