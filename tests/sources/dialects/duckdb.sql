create macro add(a, b) as a + b;
create or replace temp macro t2(x) as table select x;
CREATE FUNCTION main.f9(a) AS a;
create table t as select 1;
