import { Injectable, type OnModuleInit } from '@nestjs/common';
import { InjectCredentials, type DatabaseCredentials } from 'nestjs-vault';
import { createRotatingPgPool, type RotatingPgPool } from 'nestjs-vault/pg';
import type { Observable } from 'rxjs';

export interface Order {
  id: string;
  item: string;
}

@Injectable()
export class OrdersRepository implements OnModuleInit {
  private pool!: RotatingPgPool;

  constructor(@InjectCredentials('orders') private readonly credentials$: Observable<DatabaseCredentials>) {}

  async onModuleInit(): Promise<void> {
    this.pool = await createRotatingPgPool(this.credentials$, {
      host: process.env['PGHOST'] ?? '127.0.0.1',
      port: Number(process.env['PGPORT'] ?? 5432),
      database: process.env['PGDATABASE'] ?? 'shop',
      max: 5,
      // Milliseconds; no query of this application takes longer.
      drain: 2_000,
    });
  }

  async place(item: string): Promise<Order> {
    const { rows } = await this.pool.query<Order>(
      'INSERT INTO orders (item) VALUES ($1) RETURNING id, item',
      [item],
    );
    return rows[0] as Order;
  }

  async recent(): Promise<Order[]> {
    const { rows } = await this.pool.query<Order>('SELECT id, item FROM orders ORDER BY id DESC LIMIT 10');
    return rows;
  }
}
