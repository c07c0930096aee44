import { bigint, integer, pgTable, text } from 'drizzle-orm/pg-core';

/** The table of setup.sql. */
export const orders = pgTable('orders', {
  id: bigint('id', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
  item: text('item').notNull(),
  quantity: integer('quantity').notNull(),
  state: text('state', { enum: ['open', 'shipped'] })
    .notNull()
    .default('open'),
});

export type Order = typeof orders.$inferSelect;
