import { execFileSync } from 'node:child_process';
import { describe } from 'vitest';
import { openBaoAvailable, pinnedOpenBao } from './servers.mjs';

const availability = await openBaoAvailable();
// Not by console: vitest would add lines of its own around it.
if (!availability.ok) process.stderr.write(`Skipped: ${availability.reason.replaceAll('\n', ' ')}\n`);

/** Product and version under test, as the server itself reports them. */
export const realServer = availability.ok
  ? identify(versionOf(availability.bin))
  : { kind: 'openbao' as const, name: 'real server', version: '' };

/** HTTP status of a refused secret_id: Vault answered 500 until the end of 2023. */
export const REFUSED_SECRET_ID =
  realServer.kind === 'vault' && /^1\.(?:\d|1[0-4])\./.test(realServer.version) ? 500 : 400;

/** The pinned OpenBao, and the server in VAULT_BIN if it is set: for tables with a column for each. */
export const realServers: readonly (typeof realServer & { bin?: string })[] = process.env['VAULT_BIN']
  ? [await pinned(), realServer]
  : [realServer];

async function pinned() {
  const bin = await pinnedOpenBao();
  return { ...identify(versionOf(bin)), bin };
}

function versionOf(bin: string): string {
  return execFileSync(bin, ['version'], { encoding: 'utf8' });
}

function identify(output: string) {
  const [, product = 'real server', version = ''] = /^(\S+) v(\S+)/.exec(output) ?? [];
  return {
    kind: product === 'Vault' ? ('vault' as const) : ('openbao' as const),
    name: `${product} ${version}`.trim(),
    version,
  };
}

/** `describe` for tests that need OpenBao; skips them if it is not available (under CI the file fails). */
export const describeReal = availability.ok ? describe : describe.skip;
