CREATE ROLE "{{name}}" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}' IN ROLE orders_owner;
ALTER ROLE "{{name}}" SET role = orders_owner;
