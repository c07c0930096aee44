import { execFileSync } from 'node:child_process';
import {
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { replacedIn, shellLines, withVariables, writeVariables } from '../../../../lib/cli/dev/variables.js';

it('keeps all other lines of a .env file, and each variable once', () => {
  const text = '# mine\nPORT=3000\nexport VAULT_ADDR = old\n\nVAULT_ADDR=older\nVAULT_ADDRESS=x\n';
  expect(withVariables(text, { VAULT_ADDR: 'http://127.0.0.1:8200', PGDATABASE: `a b'c` })).toBe(
    `# mine\nPORT=3000\nexport VAULT_ADDR=http://127.0.0.1:8200\n\nVAULT_ADDRESS=x\nPGDATABASE='a b'\\''c'\n`,
  );
  expect(withVariables('', { A: '1' })).toBe('A=1\n');
  const once = withVariables(text, { A: '1' });
  expect(withVariables(once, { A: '1' })).toBe(once);
});

it('names the variables whose value is replaced, and no others', () => {
  const variables = { A: 'x y', B: '2', C: '3', D: '4', E: '5' };
  expect(replacedIn(`A='x y'\nexport B = 0\r\nC="3"\n#D=1\nE=\n`, variables)).toEqual(['B']);
  expect(replacedIn('B=1\nB=2\n', variables)).toEqual([]);
  expect(replacedIn(withVariables('', variables), variables)).toEqual([]);
});

it('a shell reads the lines as they were meant', () => {
  const value = `it's $HOME "x" \`y\``;
  const lines = shellLines({ VALUE: value }, 'linux');
  expect(execFileSync('sh', ['-c', `${lines.join('\n')}\nprintf %s "$VALUE"`], { encoding: 'utf8' })).toBe(
    value,
  );
  expect(shellLines({ VALUE: `it's` }, 'win32')).toEqual([`$env:VALUE = 'it''s'`]);
});

it('replaces the target of a link, and leaves nothing else', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'nestjs-vault-variables-'));
  try {
    const [path, target] = [join(folder, '.env'), join(folder, 'shared.env')];
    writeFileSync(target, 'PORT=3000\n', { mode: 0o644 });
    symlinkSync('shared.env', path);
    await writeVariables(path, { A: '1' });
    expect(lstatSync(path).isSymbolicLink()).toBe(true);
    expect(readFileSync(target, 'utf8')).toBe('PORT=3000\nA=1\n');
    expect(statSync(target).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder).sort()).toEqual(['.env', 'shared.env']);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
