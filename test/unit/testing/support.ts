import type { Sender, SimulatedVault } from 'nestjs-vault/testing';

export interface Answer {
  status: number;
  // The tests know the fields of the answers.
  body: any;
  headers: Record<string, string | string[] | undefined>;
}

export type Ask = (
  method: string,
  path: string,
  body?: unknown,
  options?: { token?: string; headers?: Record<string, string>; timeout?: number; signal?: AbortSignal },
) => Promise<Answer>;

/** Sends requests to a simulated server in process; with the root token by default. */
export function asker(vault: SimulatedVault, sender: Sender = vault.transport()): Ask {
  return async (method, path, body, { token = 'root', headers = {}, timeout = 30_000, signal } = {}) => {
    const answer = await sender.send({
      method,
      path: `/v1/${path}`,
      headers: { ...(token && { 'X-Vault-Token': token }), ...headers },
      timeout,
      ...(body !== undefined && { body: JSON.stringify(body) }),
      ...(signal && { signal }),
    });
    return {
      status: answer.statusCode,
      headers: answer.headers,
      body: answer.body === '' ? undefined : JSON.parse(answer.body),
    };
  };
}
