/**
 * The application of a reader, as far as pages name it without showing it. A block gets from here the names that neither
 * it nor an earlier block of its page has, and relative imports of files that no block shows end here.
 */
import { Module } from '@nestjs/common';
import type { VaultOptions } from 'nestjs-vault';
import type { RotatingMysqlPromisePool } from 'nestjs-vault/mysql2';
import type { RotatingPgPool } from 'nestjs-vault/pg';
import type { fixedCredentials } from 'nestjs-vault/testing';
import type { Sequelize } from 'sequelize';

export { Test } from '@nestjs/testing';
export { TypeOrmModule, type TypeOrmModuleOptions } from '@nestjs/typeorm';
export type { PoolClient } from 'pg';
export { createClientPool } from 'redis';
export { afterAll, beforeAll, describe, expect, it } from 'vitest';
export { PrismaClient } from '../../sample/03-prisma/src/generated/prisma/client.js';

@Module({})
export class AppModule {}
@Module({})
export class OrdersModule {}
@Module({})
export class MigrationsModule {}
export class OrdersRepository {}
export class Order {}

/** The page of pg shows both for all tests without a server. */
export declare const offline: VaultOptions;
export declare const credentials$: ReturnType<typeof fixedCredentials>;

/** A pool of the page's own database. */
export declare const pool: Pick<RotatingPgPool, 'connect'> & Pick<RotatingMysqlPromisePool, 'getConnection'>;

export declare function heard(payload: string | undefined): void;
export declare function finishBefore(until: Date): void;
export declare function defineModels(sequelize: Sequelize): void;
