import type { Sender, TransportRequest, TransportResponse } from '../../lib/client/transport.types.js';
import type { Clock } from '../../lib/clock/clock.js';

/** Headers that a cache compares: `agent` compares all, as Vault's does; `stubborn` only the token. */
type Kind = 'agent' | 'stubborn';

/**
 * A cache of leases and tokens in front of a server, as in a Vault Agent. Unlike the agent, it renews nothing by
 * itself.
 *
 * @param keeps how long an answer is kept, in milliseconds
 */
export function simulatedCache(
  sender: Sender,
  clock: Clock,
  kind: Kind,
  keeps: number,
): Sender & { hits: number } {
  const kept = new Map<string, { at: number; response: TransportResponse }>();
  const keyOf = ({ method, path, body, headers }: TransportRequest) =>
    JSON.stringify([method, path, body, kind === 'agent' ? headers : headers['X-Vault-Token']]);
  return {
    hits: 0,
    async send(request) {
      const key = keyOf(request);
      const known = kept.get(key);
      if (known && clock.monotonic() - known.at < keeps) {
        this.hits++;
        const age = String(Math.floor((clock.monotonic() - known.at) / 1_000));
        return { ...known.response, headers: { ...known.response.headers, 'x-cache': 'HIT', age } };
      }
      const response = await sender.send(request);
      const { renewable, auth } = response.body === '' ? {} : JSON.parse(response.body);
      if (response.statusCode === 200 && (renewable || auth))
        kept.set(key, { at: clock.monotonic(), response });
      return { ...response, headers: { ...response.headers, 'x-cache': 'MISS' } };
    },
    close: () => sender.close(),
  };
}
