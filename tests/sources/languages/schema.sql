-- Customers and what they bought.
CREATE TABLE IF NOT EXISTS shop.customers (
    id BIGINT PRIMARY KEY,
    name TEXT NOT NULL
);

CREATE TABLE orders (
    id BIGINT PRIMARY KEY,
    customer_id BIGINT REFERENCES shop.customers (id),
    total NUMERIC(10, 2)
);

CREATE INDEX orders_by_customer ON orders (customer_id);

-- Who bought for more than a thousand.
CREATE OR REPLACE VIEW big_spenders AS
SELECT c.name, sum(o.total) AS spent
FROM shop.customers c JOIN orders o ON o.customer_id = c.id
GROUP BY c.name HAVING sum(o.total) > 1000;

CREATE FUNCTION add_tax(amount NUMERIC) RETURNS NUMERIC AS $$
    SELECT amount * 1.19;
$$ LANGUAGE sql;

CREATE MATERIALIZED VIEW daily AS SELECT date, count(*) FROM orders GROUP BY date;

CREATE TYPE mood AS ENUM ('sad', 'ok');

CREATE TRIGGER touched BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION touch();

SELECT * FROM big_spenders;
