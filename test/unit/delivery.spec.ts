// The table in docs/approle.md: the restarts that each way of delivering a secret_id survives.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConsoleLogger, Module } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { appRole, fromFile, fromWrappedToken, token, VaultModule, type AuthMethod } from 'nestjs-vault';
import {
  SimulatedVault,
  VaultTestingModule,
  VirtualClock,
  type SimulatedAppRole,
} from 'nestjs-vault/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const HOUR = 3_600_000;
const page = readFileSync(new URL('../../docs/approle.md', import.meta.url), 'utf8');

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nestjs-vault-delivery-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

interface World {
  vault: SimulatedVault;
  clock: VirtualClock;
  roleId: string;
  secretId: () => string;
  wrapped: () => string;
  /** The contents of the node's folder. */
  put(name: string, value: string): string;
}

interface Way {
  role?: SimulatedAppRole;
  /** Delivers once; returns the login of the application at each start. */
  deliver: (world: World) => () => AuthMethod;
  /** The platform's action every 8 hours. */
  again?: (world: World) => unknown;
}

const DAY = { secretIdTtl: '24h', tokenPeriod: '1h' };
const value = ({ roleId, secretId }: World) => {
  const variable = secretId();
  return () => appRole({ roleId, secretId: variable });
};
const file = (world: World) => world.put('secret_id', world.secretId());

const WAYS: Record<string, Way> = {
  'a file, rewritten every 8 hours': {
    deliver: (world) => {
      const path = file(world);
      return () => appRole({ roleId: world.roleId, secretId: fromFile(path) });
    },
    again: file,
  },
  'value in a variable, `secret_id_ttl=24h`': { deliver: value },
  'value in a variable, `secret_id_ttl=0`, bound to addresses': { role: { secretIdTtl: 0 }, deliver: value },
  'value in a variable, `secret_id_num_uses=1`': { role: { secretIdNumUses: 1 }, deliver: value },
  'wrapped, the same wrapping token at each start': {
    deliver: ({ roleId, wrapped }) => {
      const variable = wrapped();
      return () => appRole({ roleId, secretId: fromWrappedToken(variable) });
    },
  },
  'wrapped, a new wrapping token for each start': {
    deliver:
      ({ roleId, wrapped }) =>
      () =>
        appRole({ roleId, secretId: fromWrappedToken(wrapped()) }),
  },
  '`fromFile(path, { deleteAfterRead: true })`, written once': {
    deliver: (world) => {
      const path = file(world);
      return () => appRole({ roleId: world.roleId, secretId: fromFile(path, { deleteAfterRead: true }) });
    },
  },
  '`token(fromFile(path))`, a token that an agent keeps': {
    deliver: (world) => {
      const agent = world.vault.token({ ttl: '24h', renewable: true });
      const path = world.put('token', agent);
      return () => token(fromFile(path));
    },
    again: (world) => world.put('token', world.vault.token({ ttl: '24h' })),
  },
};

/** Whether a start works after so many hours, with the delivery before the first start. */
async function restarts(way: Way, hours: number): Promise<boolean> {
  const clock = new VirtualClock();
  const vault = new SimulatedVault({ clock });
  const { roleId, secretId, wrappedSecretId } = vault.appRole('orders', { ...DAY, ...way.role });
  const put = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const world: World = { vault, clock, roleId, secretId, wrapped: () => wrappedSecretId('120s'), put };
  const login = way.deliver(world);
  const start = async () => {
    @Module({
      imports: [
        VaultTestingModule.forRoot({ vault }),
        VaultModule.forRoot({ address: 'https://vault.test', auth: login() }),
      ],
    })
    class AppModule {}
    const builder = Test.createTestingModule({ imports: [AppModule] }).setLogger(
      new ConsoleLogger({ logLevels: [] }),
    );
    const app = await clock.until(builder.compile());
    await clock.until(app.init());
    return app;
  };
  const first = await start();
  await clock.until(first.close());
  for (let passed = 0; passed < hours; passed++) {
    await clock.advance(HOUR);
    if (passed % 8 === 7) way.again?.(world);
  }
  return start().then(
    async (app) => {
      await clock.until(app.close());
      return true;
    },
    () => false,
  );
}

describe('ways of delivery, listed on the page on AppRole', () => {
  const rows = page
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) => line.split('|').map((cell) => cell.trim()))
    .filter(([, name = '']) => name in WAYS);

  it('names each way once', () => {
    expect(rows.map(([, name]) => name)).toEqual(Object.keys(WAYS));
  });

  it.each(rows)('%s%s', async (_, name = '', hours = '', days = '', elsewhere = '') => {
    const words = (works: boolean) => (works ? 'works' : '**refused**');
    const way = WAYS[name] as Way;
    const later = words(await restarts(way, 72));
    expect([hours, days]).toEqual([words(await restarts(way, 2)), later]);
    // Another node has the same files, unless a program must run there.
    expect(elsewhere.startsWith(later)).toBe(true);
  });
});
