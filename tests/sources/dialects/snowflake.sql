create or replace procedure sp(a float)
 returns string language javascript
 as
 $$
  return a;
 $$;
create or replace secure function fx() returns int as '1';
create or replace procedure sp2()
returns int language sql as
begin
  let x := 1;
  return x;
end;
create or replace table tt (a int);
