import { describe } from 'vitest';
import { mariaDbAvailable } from './mariadb.mjs';
import { openBaoAvailable } from './servers.mjs';

const missing = [await openBaoAvailable(), mariaDbAvailable()].flatMap((one) => (one.ok ? [] : [one.reason]));
// Not by console: vitest would put lines of its own around it.
if (missing.length > 0) process.stderr.write(`Skipped: ${missing.join('; ').replaceAll('\n', ' ')}\n`);

/** `describe` for tests that need OpenBao and MariaDB; skips them where one of them cannot be had. */
export const describeMariaDb = missing.length === 0 ? describe : describe.skip;
