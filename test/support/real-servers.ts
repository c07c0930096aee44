import { describe } from 'vitest';
import { openBaoAvailable } from './servers.mjs';

const availability = await openBaoAvailable();
// Not by console: vitest would put lines of its own around it.
if (!availability.ok) process.stderr.write(`Skipped: ${availability.reason.replaceAll('\n', ' ')}\n`);

/** `describe` for tests that need OpenBao; skips them where it cannot be had (under CI the file fails). */
export const describeReal = availability.ok ? describe : describe.skip;
