// Requests of HashiCorp's and OpenBao's Go client, with its defaults:
// - 60 s for all attempts together, 2 retries, 1 to 1.5 s as the base of the delay: openbao/openbao api/client.go:321-328,
//   hashicorp/vault api/client.go DefaultConfig (the same values).
// - It retries after failed connections, 429, and 5xx except 501: hashicorp/go-retryablehttp client.go:495-542; and 412,
//   which does not occur here: openbao api/client.go:1801-1810. A sealed server answers 503, so it gets three requests.
// - The delay is a random base times the number of the attempt: go-retryablehttp client.go:619-656.
import type { Sender } from '../../../lib/client/transport.types.js';
import type { Clock } from '../../../lib/clock/clock.js';
import { exchange, Failure, pause, type Answer, type Call } from './exchange.js';

const TIMEOUT = 60_000;
const RETRIES = 2;

export async function goClient(
  clock: Clock,
  server: Sender,
  call: Omit<Call, 'timeout'>,
  retries = RETRIES,
): Promise<Answer> {
  const end = clock.monotonic() + TIMEOUT;
  for (let tried = 1; ; tried++) {
    try {
      return await exchange(server, { ...call, timeout: Math.max(1, end - clock.monotonic()) });
    } catch (error) {
      const delay = tried * (1_000 + Math.random() * 500);
      if (tried > retries || !mayPass(error) || clock.monotonic() + delay >= end) throw error;
      await pause(clock, delay);
    }
  }
}

function mayPass(error: unknown): boolean {
  const status = error instanceof Failure ? error.status : undefined;
  return status === undefined || status === 429 || (status >= 500 && status !== 501);
}
