import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** The Python that has hvac. Set by `npm run test:auth`, if pip could install it. */
export const python = process.env['VAULT_TEST_HVAC'];

/**
 * Runs a program of this folder.
 *
 * @param input JSON that it reads; resolves with the JSON that it prints
 */
export function runHvac<T>(program: string, input: unknown): Promise<T> {
  const file = fileURLToPath(new URL(program, import.meta.url));
  return new Promise((resolve, reject) => {
    const child = execFile(python as string, [file], { timeout: 60_000 }, (error, output) =>
      error ? reject(error) : resolve(JSON.parse(output) as T),
    );
    child.stdin?.end(JSON.stringify(input));
  });
}
