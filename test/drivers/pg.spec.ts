import type { TestingModule } from '@nestjs/testing';
import type { Observable } from 'rxjs';
import { getCredentialsToken } from 'nestjs-vault';
import {
  createRotatingPgPool,
  type LoginCredentials,
  type PoolEvent,
  type RotatingPgPool,
} from 'nestjs-vault/pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { LeasedPostgres } from '../support/leased-postgres.js';
import { poolWork, staticRole } from '../support/leased-work.js';
import { describeReal } from '../support/real-servers.js';

const POOL = 'POOL';

describeReal('pg by itself on a static role', () => {
  let world: LeasedPostgres;

  beforeAll(async () => {
    world = await LeasedPostgres.start([]);
    await world.postgres.query('create table mine (id int); alter table mine owner to rotated');
  });
  afterAll(() => world?.stop());

  it('whose password the server rotates every 5 s: nothing fails, and no warning of objects that its user owns', async () => {
    const events: PoolEvent[] = [];
    const app: TestingModule = await world.app({
      providers: [
        {
          provide: POOL,
          inject: [getCredentialsToken({ path: 'database/static-creds/rotated' })],
          useFactory: async (credentials$: Observable<LoginCredentials>) => {
            // New connections all the time, as only logins use the password.
            const config = { ...world.where, max: 6, maxUses: 3, drain: 100 };
            const pool = await createRotatingPgPool(world.guarded(credentials$), config);
            return pool.on('rotation', (event) => events.push(event));
          },
        },
      ],
    });
    const pool = app.get<RotatingPgPool>(POOL);
    // A connection in use since the first password.
    const kept = await pool.connect();
    const whoami = async () => {
      const { rows } = await kept.query<{ name: string }>('select current_user as name');
      // At the end.
      kept.release();
      return rows[0]?.name;
    };
    await staticRole(world, { app, work: poolWork(pool), whoami });
    // A connection attempt before the new password is read is rejected, and waits for it.
    const types = new Set(events.map(({ type }) => type));
    expect([...types].filter((type) => type !== 'refused')).toEqual(['rotated']);
  });
});
