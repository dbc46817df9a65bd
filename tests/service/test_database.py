"""What failures of the database mean to a caller."""

import threading

import psycopg2
import pytest
from sqlalchemy import exc, text

from provmanager.errors import DatabaseUnavailableError, UnavailableError, UsageError
from provmanager.store.database import open_database, parse_url


def test_a_transaction_is_kept_whole_or_not_at_all(database):
    with database.transaction() as session:
        session.execute(text("CREATE TABLE whole (n int)"))
    begin_and_fail = text("INSERT INTO whole VALUES (1); SELECT 1 / 0")
    with pytest.raises(exc.DataError), database.transaction() as session:
        session.execute(begin_and_fail)
    with database.transaction() as session:
        assert session.execute(text("SELECT count(*) FROM whole")).scalar_one() == 0


def test_a_statement_that_takes_too_long_is_given_up(database_url):
    impatient = open_database(database_url, statement_timeout_s=0.2)
    slow = pytest.raises(UnavailableError, match="took too long")
    with slow, impatient.transaction() as session:
        session.execute(text("SELECT pg_sleep(30)"))
    impatient.close()


@pytest.mark.parametrize("raw", [False, True])
def test_a_deadlock_asks_to_try_again(database, raw):
    """Also where SQLAlchemy is passed by, as COPY does."""
    name = f"deadlock_{raw}".lower()
    with database.transaction() as session:
        session.execute(text(f"CREATE TABLE {name} AS SELECT 1 AS n UNION SELECT 2"))
    both_hold_one = threading.Barrier(2)
    failures = []

    def update(first, second):
        try:
            with database.transaction() as session:
                for n in (first, second):
                    statement = f"UPDATE {name} SET n = n WHERE n = {n}"
                    if raw:
                        session.connection().connection.cursor().execute(statement)
                    else:
                        session.execute(text(statement))
                    if n == first:
                        both_hold_one.wait(timeout=120)
        except UnavailableError as error:
            failures.append(error)

    threads = [threading.Thread(target=update, args=pair) for pair in ((1, 2), (2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert [type(error) for error in failures] == [UnavailableError]
    assert failures[0].details == {"sqlstate": "40P01"}


def test_a_lost_connection_is_the_databases_fault_and_the_next_one_works(database, database_url):
    lost = pytest.raises(DatabaseUnavailableError)
    with lost, database.transaction() as session:
        pid = session.execute(text("SELECT pg_backend_pid()")).scalar_one()
        connection = psycopg2.connect(database_url)
        connection.autocommit = True
        connection.cursor().execute("SELECT pg_terminate_backend(%s)", (pid,))
        connection.close()
        session.execute(text("SELECT 1"))
    database.check()


def test_an_error_of_ours_stays_what_it_is(database):
    with pytest.raises(exc.ProgrammingError), database.transaction() as session:
        session.execute(text("SELECT * FROM nowhere"))


def test_urls_of_postgresql_are_taken_and_others_refused():
    for url in ("postgres://u@h/d", "postgresql://u@h/d", "postgresql+psycopg2://u@h/d"):
        assert parse_url(url).drivername == "postgresql+psycopg2"
    with pytest.raises(UsageError, match=r"sqlite:///x\.db is no PostgreSQL database"):
        parse_url("sqlite:///x.db")
    with pytest.raises(UsageError) as caught:
        parse_url("mysql://root:hunter2@h/d")
    assert "hunter2" not in str(caught.value)
