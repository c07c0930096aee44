CREATE USER '{{name}}'@'%' IDENTIFIED BY '{{password}}';
GRANT SELECT, INSERT, UPDATE ON orders.* TO '{{name}}'@'%';
