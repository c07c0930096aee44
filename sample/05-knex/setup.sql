-- Once, by the owner of the database. The users that OpenBao or Vault makes own nothing: they get their rights by
-- being members of orders_app (creation.sql), so DROP ROLE is enough here.
-- On your own servers, take the revocation statements of docs/server-setup.md.
CREATE TABLE IF NOT EXISTS orders (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  item text NOT NULL,
  quantity integer NOT NULL CHECK (quantity > 0),
  state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'shipped')),
  placed_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS orders_open ON orders (id) WHERE state = 'open';

DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'orders_app') THEN
    CREATE ROLE orders_app NOLOGIN;
  END IF;
END
$$;
GRANT SELECT, INSERT, UPDATE ON orders TO orders_app;
