import { Injectable, type OnModuleInit } from '@nestjs/common';
import { ConfigService } from '@nestjs/config';
import { PrismaPg } from '@prisma/adapter-pg';
import { InjectCredentials, type DatabaseCredentials } from 'nestjs-vault';
import { RotatingPool } from 'nestjs-vault/pg';
import type { Observable } from 'rxjs';
import { PrismaClient } from '../generated/prisma/client.js';

/** Prisma over a pool whose user changes. The pool ends itself at shutdown, when the stream completes. */
@Injectable()
export class PrismaService extends PrismaClient implements OnModuleInit {
  private readonly pool: RotatingPool;

  constructor(
    @InjectCredentials('orders') credentials$: Observable<DatabaseCredentials>,
    config: ConfigService,
  ) {
    const pool = new RotatingPool(credentials$, {
      host: config.getOrThrow<string>('PGHOST'),
      port: Number(config.get('PGPORT', 5432)),
      database: config.getOrThrow<string>('PGDATABASE'),
      application_name: 'orders',
      max: 5,
      // As long as a transaction may take, below.
      drain: 10_000,
    });
    super({ adapter: new PrismaPg(pool), transactionOptions: { maxWait: 5_000, timeout: 10_000 } });
    this.pool = pool;
  }

  /** Fails the start where the database refuses the first user. */
  async onModuleInit(): Promise<void> {
    await this.pool.ready();
  }
}
