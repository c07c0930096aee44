-- Once: whom OpenBao or Vault logs in as. It makes and drops users, and grants what it has itself.
CREATE USER IF NOT EXISTS vault_admin@'%' IDENTIFIED BY '…';
GRANT CREATE USER ON *.* TO vault_admin@'%';
GRANT SELECT, INSERT, UPDATE ON orders.* TO vault_admin@'%' WITH GRANT OPTION;
-- MariaDB: for KILL USER in revocation.sql. On MySQL leave out both.
GRANT CONNECTION ADMIN ON *.* TO vault_admin@'%';
