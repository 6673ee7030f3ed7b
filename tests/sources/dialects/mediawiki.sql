CREATE TABLE /*_*/abuse_filter (id INT);
CREATE TABLE /*$wgDBprefix*/b (id INT);
-- create table no (a int);
/* create table no2
create table no3 */
select 'x
create table no4 (a int)';
