import { inspect } from 'node:util';
import { Test } from '@nestjs/testing';
import { expect, it } from 'vitest';
import { hideSecretOptions } from '../../../lib/config/hidden-options.js';
import { resolveOptions } from '../../../lib/config/resolved-options.js';
import { token, VAULT_MODULE_OPTIONS, VaultModule, type VaultOptions } from '../../../lib/index.js';
import { SimulatedVault, VaultTestingModule, VirtualClock } from '../../../lib/testing/index.js';
import { expectNoLeak } from '../../support/leaks.js';

const CANARY = 'canary-of-the-gateway';
const options = (): VaultOptions => ({
  address: 'https://vault.test',
  auth: token('root'),
  headers: { 'x-gateway-key': CANARY },
});
const EVERYTHING = { depth: 8, showHidden: true, getters: true } as const;

class Factory {
  createVaultOptions = options;
}

it.each([
  ['forRoot', () => VaultModule.forRoot(options())],
  ['forRootAsync with a factory', () => VaultModule.forRootAsync({ useFactory: options })],
  ['forRootAsync with a class', () => VaultModule.forRootAsync({ useClass: Factory })],
])('no printer of an application finds the headers of %s, which can be read', async (_form, declare) => {
  const clock = new VirtualClock();
  const vault = new SimulatedVault({ clock });
  const definition = declare();
  const app = await Test.createTestingModule({
    imports: [VaultTestingModule.forRoot({ vault }), definition],
  })
    .setLogger({ log() {}, error() {}, warn() {} })
    .compile();
  try {
    const provided = app.get<VaultOptions>(VAULT_MODULE_OPTIONS);
    expect(provided.headers).toEqual({ 'x-gateway-key': CANARY });
    expectNoLeak(provided, [CANARY]);
    for (const printed of [definition, provided]) expect(inspect(printed, EVERYTHING)).not.toContain(CANARY);
  } finally {
    await clock.until(app.close());
  }
});

it('options of a class keep the members of its prototype, and their private fields', () => {
  class Options implements VaultOptions {
    readonly #gateway = CANARY;
    readonly auth = token('root');
    readonly headers = { 'x-gateway-key': CANARY };
    get address(): string {
      return `https://${this.#gateway}.test`;
    }
  }
  const hidden = hideSecretOptions(new Options());
  expect(resolveOptions(hidden)).toMatchObject({ addresses: [`https://${CANARY}.test`] });
  expect(hidden.headers).toEqual({ 'x-gateway-key': CANARY });
  expect(inspect(hidden, EVERYTHING)).not.toContain(CANARY);
});

it('a private key, its passphrase and the password of a proxy are hidden alike', () => {
  const tls = { key: CANARY, passphrase: CANARY };
  expect(inspect(VaultModule.forRoot({ ...options(), tls }), EVERYTHING)).not.toContain(CANARY);
  const proxied = {
    address: 'https://vault.test',
    auth: token('root'),
    proxy: `http://user:${CANARY}@proxy`,
  };
  expect(inspect(VaultModule.forRoot(proxied), EVERYTHING)).not.toContain(CANARY);
});
