import { VaultError } from '../../errors/vault-error.js';
import type { PoolKind } from '../rotation/pool-kind.js';

/** Whether RabbitMQ rejected the login; amqplib reports that in the message only. */
export function isLoginRejected(error: unknown): boolean {
  return error instanceof Error && /\b403\b.*ACCESS.REFUSED/.test(error.message);
}

/** Whether RabbitMQ denied an operation, as it also does for a user that was deleted. */
export function isPermissionDenied(error: unknown): boolean {
  return (error as { code?: unknown } | undefined)?.code === 403;
}

export const RABBITMQ: PoolKind = {
  packages: ['amqp-connection-manager', 'amqplib'],
  credentials: [],
  credentialsHint: 'Give URLs as `amqp://host:5672/vhost`; user and password come from the stream.',
  server: 'RabbitMQ',
  isLoginRejected,
  reasonOf: () => '403 ACCESS_REFUSED',
  rejectedHint: () =>
    'The lease may have ended, or Vault issues users on another broker: compare the host here with the ' +
    'connection_uri of the engine. The role has to give permissions in the virtual host that is used.',
};

export function noUrlError(): VaultError {
  return new VaultError({
    code: 'VAULT_CONFIG_INVALID',
    message: 'There is no URL of a broker.',
    hint: RABBITMQ.credentialsHint,
  });
}
