-- Once, by an administrator. A user of MariaDB or MySQL owns nothing, so dropping one is always possible.
CREATE DATABASE IF NOT EXISTS orders;
CREATE TABLE IF NOT EXISTS orders.orders (
  id bigint unsigned AUTO_INCREMENT PRIMARY KEY,
  item varchar(100) NOT NULL,
  quantity int unsigned NOT NULL CHECK (quantity > 0),
  state enum('open', 'shipped') NOT NULL DEFAULT 'open',
  placed_at timestamp(3) NOT NULL DEFAULT current_timestamp(3),
  KEY orders_open (state, id)
);
