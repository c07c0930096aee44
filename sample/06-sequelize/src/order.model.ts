import {
  DataTypes,
  Model,
  type CreationOptional,
  type InferAttributes,
  type InferCreationAttributes,
} from 'sequelize';
import type { Sequelize } from 'sequelize';

export class Order extends Model<InferAttributes<Order>, InferCreationAttributes<Order>> {
  declare id: CreationOptional<string>;
  declare item: string;
  declare quantity: number;
  declare state: CreationOptional<'open' | 'shipped'>;
}

/** The model of the table in setup.sql. */
export function defineOrder(sequelize: Sequelize): void {
  Order.init(
    {
      id: { type: DataTypes.BIGINT, autoIncrement: true, primaryKey: true },
      item: { type: DataTypes.TEXT, allowNull: false },
      quantity: { type: DataTypes.INTEGER, allowNull: false },
      state: { type: DataTypes.TEXT, allowNull: false, defaultValue: 'open' },
    },
    { sequelize, tableName: 'orders', timestamps: false },
  );
}
