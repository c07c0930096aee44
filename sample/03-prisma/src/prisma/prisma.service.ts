import { Injectable, type OnModuleInit } from '@nestjs/common';
import { ConfigService } from '@nestjs/config';
import { PrismaPg } from '@prisma/adapter-pg';
import { InjectCredentials, type DatabaseCredentials } from 'nestjs-vault';
import { RotatingPgPool } from 'nestjs-vault/pg';
import type { Observable } from 'rxjs';
import { PrismaClient } from '../generated/prisma/client.js';

/** Prisma with a pool whose user changes. The pool ends itself at shutdown, when the stream completes. */
@Injectable()
export class PrismaService extends PrismaClient implements OnModuleInit {
  private readonly pool: RotatingPgPool;

  constructor(
    @InjectCredentials('orders') credentials$: Observable<DatabaseCredentials>,
    config: ConfigService,
  ) {
    const pool = new RotatingPgPool(credentials$, {
      host: config.getOrThrow<string>('PGHOST'),
      port: Number(config.get('PGPORT', 5432)),
      database: config.getOrThrow<string>('PGDATABASE'),
      application_name: 'orders',
      max: 5,
      // Milliseconds; equal to the limit of a transaction below.
      drain: 10_000,
    });
    super({ adapter: new PrismaPg(pool), transactionOptions: { maxWait: 5_000, timeout: 10_000 } });
    this.pool = pool;
  }

  /** Connects at the start, which fails if the database rejects the first user. */
  async onModuleInit(): Promise<void> {
    await this.pool.ready();
  }
}
