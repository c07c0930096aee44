export interface Order {
  id: string;
  item: string;
  quantity: number;
  state: 'open' | 'shipped';
  placedAt: Date;
}

export type NewOrder = Pick<Order, 'item' | 'quantity'>;
