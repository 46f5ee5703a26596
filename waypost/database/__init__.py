"""The database that routers and retrievers share: SQLite in a file, or PostgreSQL; tables, and how they came to be.

    engine = database.open_engine("postgresql://waypost@db/waypost")    # or "sqlite:/path/to/store.db"
    database.upgrade(engine)

Only SQLAlchemy's Core: rows are written in bulk and read as they are, so that objects in between would only cost time.
"""

from waypost.database.engine import BadUrl, NoDriver, open_engine, open_file, shown
from waypost.database.migrate import DatabaseTooNew, upgrade

__all__ = ["BadUrl", "DatabaseTooNew", "NoDriver", "open_engine", "open_file", "shown", "upgrade"]
