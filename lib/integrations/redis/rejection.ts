import type { PoolKind } from '../rotation/pool-kind.js';

/** The error of Redis for a deleted user or a wrong password. */
const REJECTED = /\bWRONGPASS\b/;
/** The errors of Redis for a command that the user may not run, and for a command without a login. */
const DENIED = /\b(NOAUTH|NOPERM)\b/;

/** Whether an error proves that Redis rejected the login. */
export function isLoginRejected(error: unknown): boolean {
  return error instanceof Error && REJECTED.test(error.message);
}

/** Whether Redis denied a command, as it also does after the user was deleted. */
export function isPermissionDenied(error: unknown): boolean {
  return error instanceof Error && DENIED.test(error.message);
}

const REDIS = {
  credentials: ['username', 'password', 'credentialsProvider'],
  server: 'Redis',
  isLoginRejected,
  reasonOf: () => 'WRONGPASS',
  rejectedHint: () =>
    'The lease may have ended, or Vault issues users on another Redis: compare host and port here with the ' +
    'config of the engine. Redis loses users that it does not persist when it restarts.',
} as const;
const OWN =
  'Leave it out: user and password come from the stream. For a client with credentials of its own use ';

export const NODE_REDIS: PoolKind = {
  ...REDIS,
  packages: ['redis'],
  credentialsHint: `${OWN}\`createClient()\`.`,
};
export const IOREDIS: PoolKind = {
  ...REDIS,
  packages: ['ioredis'],
  credentialsHint: `${OWN}\`new Redis()\`.`,
};
