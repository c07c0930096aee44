import { describe } from 'vitest';
import { rabbitMqAvailable } from './rabbitmq.mjs';
import { openBaoAvailable } from './servers.mjs';

const missing = [await openBaoAvailable(), rabbitMqAvailable()].flatMap((one) =>
  one.ok ? [] : [one.reason],
);
// Not by console: vitest would add lines of its own around it.
if (missing.length > 0) process.stderr.write(`Skipped: ${missing.join('; ').replaceAll('\n', ' ')}\n`);

/** `describe` for tests that need OpenBao and RabbitMQ; skips them if one of them is not available. */
export const describeRabbitMq = missing.length === 0 ? describe : describe.skip;
