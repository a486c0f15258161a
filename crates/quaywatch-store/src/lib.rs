//! Store traits and records, SQLite behind them, migrations, the block codec
