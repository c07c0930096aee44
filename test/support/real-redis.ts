import { describe } from 'vitest';
import { redisAvailable } from './redis.mjs';
import { openBaoAvailable } from './servers.mjs';

const missing = [await openBaoAvailable(), redisAvailable()].flatMap((one) => (one.ok ? [] : [one.reason]));
// Not by console: vitest would add lines of its own around it.
if (missing.length > 0) process.stderr.write(`Skipped: ${missing.join('; ').replaceAll('\n', ' ')}\n`);

/** `describe` for tests that need OpenBao and Redis; skips them if one of them is not available. */
export const describeRedis = missing.length === 0 ? describe : describe.skip;
