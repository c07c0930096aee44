import { EntitySchema } from '@mikro-orm/postgresql';

export class Order {
  id!: string;
  item!: string;
  quantity = 1;
  state: 'open' | 'shipped' = 'open';
}

/** The model of the table in setup.sql. */
export const OrderSchema = new EntitySchema<Order>({
  class: Order,
  tableName: 'orders',
  properties: {
    id: { type: 'bigint', primary: true, generated: 'identity' },
    item: { type: 'text' },
    quantity: { type: 'integer' },
    state: { type: 'text' },
  },
});
