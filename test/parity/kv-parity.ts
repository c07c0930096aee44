import { KV_POLICY, type KvStep } from './kv-steps.js';
import { normalise } from './normalise.js';
import type { Send } from './send.js';

/** Mounts KV on a server; returns a function that sends requests to it, and resolves with the answers by request. */
export async function kvParity(
  send: Send,
): Promise<(steps: readonly KvStep[]) => Promise<Record<string, unknown>>> {
  await send('POST', 'sys/mounts/kv', { type: 'kv', options: { version: '2' } });
  await send('POST', 'sys/mounts/kv-1', { type: 'kv', options: { version: '1' } });
  await send('PUT', 'sys/policies/acl/kv', { policy: KV_POLICY });
  const { body } = await send('POST', 'auth/token/create', { policies: ['kv'] });
  const tokens = { limited: body.auth.client_token as string, nobody: '' };
  // A new mount of version 2 sets itself up in the background, and answers 400 meanwhile.
  while ((await send('GET', 'kv/config')).status === 400);
  return async (steps) => {
    const answers: Record<string, unknown> = {};
    for (const [index, { method, path, body: sent, as, contentType }] of steps.entries()) {
      const options = {
        ...(as && { token: tokens[as] }),
        ...(contentType && { headers: { 'content-type': contentType } }),
      };
      const answer = await send(method, path, sent, options);
      const { status, headers } = answer;
      const label = `${index + 1} ${method} ${path} ${JSON.stringify(sent ?? '').slice(0, 100)}`;
      answers[label] = {
        status,
        location: headers['location'],
        body: normalise(withLives(answer.body)),
      };
    }
    return answers;
  };
}

/** Replaces the end of a version by its life in seconds, to the next ten. */
function withLives(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withLives);
  if (typeof value !== 'object' || value === null) return value;
  const copy: Record<string, unknown> = Object.fromEntries(
    Object.entries(value).map(([key, member]) => [key, withLives(member)]),
  );
  const { created_time: created, deletion_time: deleted } = value as Record<string, string>;
  if (created && deleted)
    copy['deletion_time'] = `+${Math.round((Date.parse(deleted) - Date.parse(created)) / 10_000)}0s`;
  return copy;
}
