//! The short form of the kill drill: twenty lives of the server, each ended by SIGKILL. `cargo xtask drill kill` makes
//! it two hundred.

use crate::drills::short;

#[test]
fn no_incident_and_no_notice_is_lost_or_told_under_two_keys_whenever_the_server_is_killed() {
    short("kill");
}
