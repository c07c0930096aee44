/** The option of a connection for KV. */
export interface KvOptions {
  /** Version of the KV mounts, for reads without a version of their own. @default 2 */
  kvVersion?: 1 | 2;
}

export const KV_DEFAULTS: Required<KvOptions> = { kvVersion: 2 };

export function isKvVersion(value: unknown): value is 1 | 2 {
  return value === 1 || value === 2;
}
