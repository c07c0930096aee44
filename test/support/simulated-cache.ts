import type { Sender, TransportRequest, TransportResponse } from '../../lib/client/transport.js';
import type { Clock } from '../../lib/clock/clock.js';

/** Which requests are the same to a cache: `agent` compares all of them, as Vault's does, `stubborn` no header. */
type Kind = 'agent' | 'stubborn';

/**
 * A cache in front of a server, for what is leased and for tokens, as of a Vault Agent. Unlike that it renews nothing by
 * itself.
 *
 * @param keeps milliseconds that an answer is kept
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
