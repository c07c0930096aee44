import { expect } from 'vitest';
import type { HttpProxy } from './http-proxy.js';
import type { OpenBaoServer } from './servers.mjs';

/** The tokens that were used through a proxy, oldest first. */
export function tokensSeen(proxy: HttpProxy): string[] {
  const tokens = proxy.seen.map(({ headers }) => headers['x-vault-token']);
  return [...new Set(tokens.filter((token) => typeof token === 'string'))];
}

/** Whether the server knows a token; looked up as root. */
export async function isAlive(bao: OpenBaoServer, token: string): Promise<boolean> {
  const { status } = await bao.api('POST', 'auth/token/lookup', { token });
  expect([200, 403, 404]).toContain(status);
  return status === 200;
}

/** The ids of the leases below a path; listed as root. */
export async function leasesBelow(bao: OpenBaoServer, path: string): Promise<string[]> {
  const { status, body } = await bao.api('LIST', `sys/leases/lookup/${path}`);
  return status === 404 ? [] : (body.data.keys as string[]);
}

/** Resolves after so long without a request; rejects if requests never stop. */
export async function quiet(proxy: HttpProxy, milliseconds: number): Promise<void> {
  const before = proxy.seen.length;
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
  expect(proxy.requests.slice(before)).toEqual([]);
}
