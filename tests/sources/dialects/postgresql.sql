create or replace procedure load_rows(day date)
language plpgsql
as $$
begin
  insert into x select 1;
end;
$$;
create table t (a int);
CREATE FUNCTION f(OUT a int) AS 'x' LANGUAGE C;
CREATE AGGREGATE a (int) (sfunc = f, stype = int);
CREATE TABLE p PARTITION OF q FOR VALUES FROM (1) TO (2);
CREATE TABLE "my table" (id int);
create view v as select 1;
