"""What a connection to the record is told before it is used."""

from tunery_server.records.database import Database

KIB = 512


def test_no_connection_to_sqlite_keeps_much_of_the_file(database: Database) -> None:
    """SQLite's own bound is four times as high, and each of a pool would come to it in time."""
    for begun in (database.reading, database.writing):
        with begun() as connection:
            kept = connection.exec_driver_sql("PRAGMA cache_size").scalar_one()
        assert kept == -KIB  # below 0 it counts KiB, and else pages
