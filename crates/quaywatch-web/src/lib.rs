//! The listener: limits, deadlines, /metrics, /healthz, /readyz
