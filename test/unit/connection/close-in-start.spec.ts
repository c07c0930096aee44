import { Test } from '@nestjs/testing';
import { describe, expect, it } from 'vitest';
import { VaultConnections } from '../../../lib/connection/vault-connections.js';
import { appRole, InjectCredentials, VaultError, VaultModule } from '../../../lib/index.js';
import { SimulatedVault, VaultTestingModule, VirtualClock } from '../../../lib/testing/index.js';
import { connect } from '../../support/connect.js';
import { failureOf } from '../../support/leaks.js';

const silent = { log() {}, error() {}, warn() {} };

class Consumer {}
InjectCredentials('app')(Consumer, undefined, 0);

/** An application during its start, and the hooks of this package that its `close()` calls. */
function starting({ consumer = false, timeout = 30_000 } = {}) {
  const clock = new VirtualClock();
  const vault = new SimulatedVault({ clock });
  vault.databaseRole('app');
  const { roleId, secretId } = vault.appRole('app');
  let connections: VaultConnections | undefined;
  const started = failureOf(
    Test.createTestingModule({
      imports: [
        VaultTestingModule.forRoot({ vault }),
        VaultModule.forRoot({
          address: 'http://vault.test',
          auth: appRole({ roleId, secretId: secretId() }),
          startup: { timeout },
        }),
      ],
      providers: [
        ...(consumer ? [Consumer] : []),
        {
          provide: 'in the start',
          inject: [VaultConnections],
          useFactory: (all: VaultConnections) => (connections = all),
        },
      ],
    })
      .setLogger(silent)
      .compile(),
  );
  const close = () => (connections as VaultConnections).close();
  /** Issued tokens, and tokens whose revocation was requested. */
  const tokens = () => [vault.count(/approle\/login/), vault.count(/revoke-self/)];
  return { clock, vault, started, close, tokens };
}

describe('close() during a start', () => {
  it('before the login has begun: no token is made', async () => {
    const clock = new VirtualClock();
    const vault = new SimulatedVault({ clock });
    const { roleId, secretId } = vault.appRole('app');
    const auth = appRole({ roleId, secretId: secretId() });
    const { connection } = connect({ address: 'http://vault.test', auth }, clock, vault.transport());
    const closing = connection.close();
    expect(await failureOf(connection.login())).toMatchObject({ code: 'VAULT_CLOSED' });
    await clock.until(closing);
    expect(vault.count(/./)).toBe(0);
  });

  it('before the login is answered: its token is revoked, the start rejects, and no timer is left', async () => {
    const { clock, vault, started, close, tokens } = starting();
    vault.delay(1_000, { match: /approle/ });
    await clock.advance(500);
    await clock.until(Promise.all([close(), close()]));
    const error = await clock.until(started);
    expect(error).toBeInstanceOf(VaultError);
    expect(error).toMatchObject({ code: 'VAULT_CLOSED' });
    expect(tokens()).toEqual([1, 1]);
    expect(clock.pending).toBe(0);
  });

  it('while it waits to retry: it rejects at once with the error of the last attempt', async () => {
    const { clock, vault, started, close, tokens } = starting();
    vault.seal();
    await clock.advance(20_000);
    const began = clock.monotonic();
    await clock.until(close());
    expect(await clock.until(started)).toMatchObject({ code: 'VAULT_SEALED' });
    expect(clock.monotonic() - began).toBe(0);
    const tries = tokens();
    vault.unseal();
    await clock.advance(60_000);
    expect(tokens()).toEqual(tries);
    expect(clock.pending).toBe(0);
  });

  it('while credentials are issued: their lease ends with the token', async () => {
    const { clock, vault, started, close, tokens } = starting({ consumer: true });
    vault.delay(1_000, { match: /creds/ });
    await clock.advance(500);
    await clock.until(close());
    expect(await clock.until(started)).toMatchObject({ code: 'VAULT_CLOSED' });
    await clock.advance(60_000);
    expect(tokens()).toEqual([1, 1]);
    expect(vault.revokeLease('database/creds/app')).toBe(0);
    expect(clock.pending).toBe(0);
  });
});
