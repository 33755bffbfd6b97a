"""The archive on SQL: SQLite in the data directory, or PostgreSQL by URL. One schema, one set of migrations, one code path."""
