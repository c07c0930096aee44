DROP USER IF EXISTS '{{name}}'@'%'; KILL USER '{{name}}';
