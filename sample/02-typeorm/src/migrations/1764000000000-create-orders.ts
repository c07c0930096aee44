import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Runs under a leased user with the role orders_owner, which then owns the table. */
export class CreateOrders1764000000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE IF NOT EXISTS orders (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        item text NOT NULL,
        quantity integer NOT NULL CHECK (quantity > 0),
        state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'shipped')),
        placed_at timestamptz NOT NULL DEFAULT now()
      )`);
    await runner.query(`CREATE INDEX IF NOT EXISTS orders_open ON orders (id) WHERE state = 'open'`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE orders');
  }
}
