import { VaultError } from '../../errors/vault-error.js';

/** Whether an error says that RabbitMQ does not let this user in; amqplib tells that of a login in words only. */
export function refuses(error: unknown): boolean {
  return error instanceof Error && /\b403\b.*ACCESS.REFUSED/.test(error.message);
}

/** Whether an error says that RabbitMQ denies this user something, as it also does when the user is gone. */
export function denies(error: unknown): boolean {
  return (error as { code?: unknown } | undefined)?.code === 403;
}

export function rejected(path = 'unknown path'): VaultError {
  return new VaultError({
    code: 'VAULT_CREDENTIALS_REJECTED',
    message: `RabbitMQ refuses the credentials issued at ${path} (403 ACCESS_REFUSED).`,
    hint:
      'The lease may be over, or the server issues users on another broker: compare the host here with the ' +
      'connection_uri of the engine. The role has to give permissions in the virtual host that is used.',
    path,
  });
}
