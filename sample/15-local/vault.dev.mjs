// The server of `nestjs-vault dev`: one database role, one KV secret. The login, and a policy for both, come by themselves.
/** @type {import('nestjs-vault/testing').DevServerFile} */
export default {
  databases: {
    shop: {
      url: process.env.DATABASE_URL ?? 'postgresql://postgres:postgres@127.0.0.1:5432/shop',
      prepare: [
        'CREATE TABLE IF NOT EXISTS orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, item text NOT NULL)',
        `DO $$ BEGIN
           IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'orders_app') THEN CREATE ROLE orders_app; END IF;
         END $$`,
        'GRANT SELECT, INSERT ON orders TO orders_app',
      ],
      roles: {
        orders: {
          // Short, so that you see rotations.
          defaultTtl: '30s',
          maxTtl: '60s',
          creationStatements: [`CREATE ROLE "{{name}}" LOGIN PASSWORD '{{password}}' IN ROLE orders_app`],
          revocationStatements: ['DROP ROLE IF EXISTS "{{name}}"'],
        },
      },
    },
  },
  kv: { payments: { apiKey: 'key-for-development' } },
  appRoles: { orders: {} },
};
