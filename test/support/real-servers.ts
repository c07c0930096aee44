import { execFileSync } from 'node:child_process';
import { describe } from 'vitest';
import { openBaoAvailable } from './servers.mjs';

const availability = await openBaoAvailable();
// Not by console: vitest would add lines of its own around it.
if (!availability.ok) process.stderr.write(`Skipped: ${availability.reason.replaceAll('\n', ' ')}\n`);

/** Product and version under test, as the server itself reports them. */
export const realServer = availability.ok
  ? identify(execFileSync(availability.bin, ['version'], { encoding: 'utf8' }))
  : { kind: 'openbao' as const, name: 'real server' };

function identify(output: string) {
  const [, product = 'real server', version = ''] = /^(\S+) v(\S+)/.exec(output) ?? [];
  return {
    kind: product === 'Vault' ? ('vault' as const) : ('openbao' as const),
    name: `${product} ${version}`.trim(),
  };
}

/** `describe` for tests that need OpenBao; skips them if it is not available (under CI the file fails). */
export const describeReal = availability.ok ? describe : describe.skip;
