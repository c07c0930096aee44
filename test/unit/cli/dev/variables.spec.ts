import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { shellLines, withVariables } from '../../../../lib/cli/dev/variables.js';

it('keeps all other lines of a .env file, and each variable once', () => {
  const text = '# mine\nPORT=3000\nexport VAULT_ADDR = old\n\nVAULT_ADDR=older\nVAULT_ADDRESS=x\n';
  expect(withVariables(text, { VAULT_ADDR: 'http://127.0.0.1:8200', PGDATABASE: `a b'c` })).toBe(
    `# mine\nPORT=3000\nexport VAULT_ADDR=http://127.0.0.1:8200\n\nVAULT_ADDRESS=x\nPGDATABASE='a b'\\''c'\n`,
  );
  expect(withVariables('', { A: '1' })).toBe('A=1\n');
  const once = withVariables(text, { A: '1' });
  expect(withVariables(once, { A: '1' })).toBe(once);
});

it('a shell reads the lines as they were meant', () => {
  const value = `it's $HOME "x" \`y\``;
  const lines = shellLines({ VALUE: value }, 'linux');
  expect(execFileSync('sh', ['-c', `${lines.join('\n')}\nprintf %s "$VALUE"`], { encoding: 'utf8' })).toBe(
    value,
  );
  expect(shellLines({ VALUE: `it's` }, 'win32')).toEqual([`$env:VALUE = 'it''s'`]);
});
