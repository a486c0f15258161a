//! How a port is looked at: half-open and full connects on threads of their own, dialogues on tokio
