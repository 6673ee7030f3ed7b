"""SQL statements that must fail.

They read, write, attach, install, set, disclose the machine, or leave the scope.
"""

ATTEMPTS = [
    # read
    "select * from read_csv('/etc/passwd')", "select * from '/etc/passwd'",
    "select * from read_text('/etc/passwd')", "select * from read_blob('/etc/passwd')",
    "select * from read_parquet('{home}/v8/repositories/*/shards/*/files.parquet')",
    "select * from '{home}/v8/repositories/*/shards/*/symbols.parquet'",
    "select * from read_json('/etc/passwd')",
    "select * from read_json_auto('{home}/v8/repositories/*/snapshot.json')",
    "select * from read_ndjson('/etc/passwd')", "select * from glob('/*')",
    "select * from sniff_csv('/etc/passwd')",
    "select * from parquet_metadata('{home}/v8/repositories/*/shards/*/files.parquet')",
    "select * from parquet_schema('{home}/v8/repositories/*/shards/*/files.parquet')",
    "select * from 'https://example.com/x.csv'", "select * from read_csv('s3://bucket/x')",
    # write
    "copy files to '{out}/x.csv'", "copy (select 1) to '{out}/x.parquet'",
    "export database '{out}/db'", "create table x as select 1",
    "insert into files select * from files", "update files set path = 'x'", "delete from files",
    "drop table files", "alter table files add column x int", "create view v as select 1",
    "create macro m() as 1", "select 1) to '{out}/x.csv'; select (1",
    "select 1) limit 0; copy (select 1) to '{out}/y.csv'; select * from (select 1",
    # attach
    "attach '{out}/x.db'", "attach ':memory:' as y", "use main", "detach memory",
    "import database '{out}/db'",
    # install
    "install httpfs", "load httpfs", "install spatial from community",
    "load '{out}/x.duckdb_extension'",
    # set
    "set enable_external_access = true", "set lock_configuration = false",
    "set memory_limit = '100GB'", "set temp_directory = '{out}'", "reset enable_external_access",
    "pragma enable_profiling", "pragma database_list", "set threads = 64", "set variable x = 1",
    "checkpoint", "begin transaction", "call pragma_version()", "vacuum",
    # disclose the machine
    "select * from duckdb_settings()",
    "select value from duckdb_settings() where name = 'secret_directory'",
    "select * from duckdb_extensions()", "select * from duckdb_secrets()",
    "select * from duckdb_databases()", "select * from duckdb_logs()",
    "select current_setting('home_directory')", "select getenv('HOME')",
    "select * from pragma_database_list()",
    "with x as (select * from duckdb_settings()) select * from x",
    "select (select max(value) from duckdb_settings() where name = 'secret_directory')",
    "select * from duckdb_temporary_files()", "select * from duckdb_memory()",
    "select * from main.duckdb_settings()", "select * from system.main.duckdb_settings()",
    # run text as SQL, or several statements
    "select * from query('select * from duckdb_settings()')", "select * from query_table('files')",
    "select 1; select 2", "select 1; drop table files", "prepare p as select 1", "execute p",
    "select * from json_execute_serialized_sql('{{}}')",
]  # fmt: skip
