import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';

@Entity('orders')
export class Order {
  @PrimaryGeneratedColumn('identity', { type: 'bigint', generatedIdentity: 'ALWAYS' })
  id!: string;

  @Column('text')
  item!: string;

  @Column('integer')
  quantity!: number;

  @Column('text', { default: 'open' })
  state!: 'open' | 'shipped';

  @Column('timestamptz', { name: 'placed_at', default: () => 'now()' })
  placedAt!: Date;
}
