import { VaultError } from '../../errors/vault-error.js';

/** Whether RabbitMQ rejected the login; amqplib reports that in the message only. */
export function isLoginRejected(error: unknown): boolean {
  return error instanceof Error && /\b403\b.*ACCESS.REFUSED/.test(error.message);
}

/** Whether RabbitMQ denied an operation, as it also does for a user that was deleted. */
export function isPermissionDenied(error: unknown): boolean {
  return (error as { code?: unknown } | undefined)?.code === 403;
}

export function rejectedError(path = 'unknown path'): VaultError {
  return new VaultError({
    code: 'VAULT_CREDENTIALS_REJECTED',
    message: `RabbitMQ rejected the credentials issued at ${path} (403 ACCESS_REFUSED).`,
    hint:
      'The lease may have ended, or Vault issues users on another broker: compare the host here with the ' +
      'connection_uri of the engine. The role has to give permissions in the virtual host that is used.',
    path,
  });
}
