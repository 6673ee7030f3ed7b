GRANT CREATE TABLE TO x;
BEGIN;
CREATE TABLE a (b int);
COMMIT;
\connect x
create domain d as int;
create table c (d int); create table e (f int);
CREATE TYPE mood AS ENUM ('a');
create schema if not exists s;
create schema authorization joe;
create function g() returns trigger as $f$ begin new.a := 1; return new; end $f$ language plpgsql;
