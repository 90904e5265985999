"""SQLite's write-ahead log is copied into its file beside the work, and does not grow for ever."""

from __future__ import annotations

from pathlib import Path

from cloudx.adapters.database import engine_for
from rig.waiting import until

_MEGABYTE = 1 << 20


def test_what_was_committed_reaches_the_file_while_others_go_on_reading_and_the_log_shrinks(tmp_path: Path) -> None:
    file, log = tmp_path / "ledger.db", tmp_path / "ledger.db-wal"
    engine = engine_for(f"sqlite:///{file}")
    with engine.connect() as reader:  # its connection stays open, or the end of the last one would copy the log
        reader.exec_driver_sql("CREATE TABLE texts (text BLOB)")
        reader.commit()
        with engine.begin() as writer:
            writer.exec_driver_sql(f"INSERT INTO texts VALUES (zeroblob({20 * _MEGABYTE}))")
        assert log.stat().st_size > 20 * _MEGABYTE, "not all of it went through the log"
        until(lambda: file.stat().st_size > 20 * _MEGABYTE, 30)

        def log_bytes_after_a_commit() -> int:
            with engine.begin() as writer:
                writer.exec_driver_sql("INSERT INTO texts VALUES ('more')")
            return log.stat().st_size

        until(lambda: log_bytes_after_a_commit() <= 5 * _MEGABYTE, 30)
        assert reader.exec_driver_sql("SELECT count(*) FROM texts").scalar_one() > 1
    engine.dispose()
