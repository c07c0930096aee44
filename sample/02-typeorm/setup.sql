-- Once, by an administrator. The users that OpenBao or Vault makes act as orders_owner (creation.sql), which owns
-- the tables that the migrations make; they own nothing themselves, so DROP ROLE is enough here.
-- On your own servers, take the revocation statements of docs/server-setup.md.
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'orders_owner') THEN
    CREATE ROLE orders_owner NOLOGIN;
  END IF;
END
$$;
GRANT USAGE, CREATE ON SCHEMA public TO orders_owner;
