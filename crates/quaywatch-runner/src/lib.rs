//! The schedule in real time: admission, budgets, own health, batches of results
