//! Each rule of judging, by example.

use std::time::Duration;

use quaywatch_core::LocationId;
use quaywatch_core::judge::{Judge, Policy, Status};

use crate::kit::{play, play_on, policy, secs, seen_from};

#[test]
fn an_outage_is_confirmed_by_count_and_dated_back_to_its_first_failure() {
    let judge = play(
        &policy(),
        "0 ok           => pending>up@0 ok
         60+10 timeout  => look 0@75
         75+10 timeout  => up>down@60 tcp_timeout; open#1 critical down from 60 tcp_timeout x2; [60 down tcp_timeout #1
         135+10 timeout
         195 ok         => down>up@195 ok; ]195; close#1 recovered 195 x3",
    );
    assert_eq!((judge.status(), judge.since()), (Status::Up, secs(195)));
}

#[test]
fn one_failure_is_none() {
    play(
        &policy(),
        "0 ok        => pending>up@0 ok
         60 refused  => look 0@65
         65 ok
         120 refused => look 0@125
         125 ok",
    );
}

#[test]
fn a_check_is_repeated_soon_after_it_ended_while_anything_is_unconfirmed() {
    let strict = Policy { failures: 3, successes: 2, ..policy() };
    play(
        &strict,
        "0 refused    => look 0@5
         5+10 timeout => look 0@20
         20+1 refused => pending>down@0 tcp_refused; open#1 critical down from 0 tcp_refused x3 never_up; [0 down tcp_refused #1
         60 refused
         120 ok       => look 0@125
         125 ok       => down>up@125 ok; ]125; close#1 recovered 125 x4
         180 slow     => look 0@185
         185 slow     => look 0@190
         190 slow     => up>degraded@180 tcp_slow; open#2 warning degraded from 180 tcp_slow x3; [180 degraded tcp_slow #2
         240 ok       => look 0@245
         245 slow
         250 ok       => look 0@255
         255 ok       => degraded>up@255 ok; ]255; close#2 recovered 255 x4
         300 ok",
    );
}

#[test]
fn what_we_could_not_see_neither_adds_to_a_count_nor_resets_it() {
    play(
        &policy(),
        "0 ok            => pending>up@0 ok
         60 refused      => look 0@65
         65 self_network => look 0@70
         70 self_dns     => look 0@75
         75 refused      => up>down@60 tcp_refused; open#1 critical down from 60 tcp_refused x2; [60 down tcp_refused #1",
    );
}

#[test]
fn self_faults_keep_the_status_until_freshness_runs_out() {
    play(
        &policy(),
        "0 ok         => pending>up@0 ok
         60 self_dns
         120 tick     => up>unknown@120 self_dns; [120 unknown self_dns
         180 self_dns
         185 ok       => unknown>up@185 ok; ]185",
    );
    play(
        &policy(),
        "0 refused   => look 0@5
         5 refused   => pending>down@0 tcp_refused; open#1 critical down from 0 tcp_refused x2 never_up; [0 down tcp_refused #1
         60 self_dns
         119 tick
         125 tick    => down>unknown@125 self_dns; ]125; [125 unknown self_dns #1
         180 refused => unknown>down@180 tcp_refused; ]180; [180 down tcp_refused #1
         240 ok      => down>up@240 ok; ]240; close#1 recovered 240 x3",
    );
}

#[test]
fn deadlines_are_done_at_their_own_time_however_late_the_caller_is() {
    play(
        &policy(),
        "0 ok     => pending>up@0 ok
         500 tick => up>unknown@120 self_stall; [120 unknown self_stall; open#1 warning unknown from 120 self_stall x0
         540 ok   => unknown>up@540 ok; ]540; close#1 recovered 540 x0",
    );
    // A queue that was judged late is no silence.
    play(
        &policy(),
        "0 ok      => pending>up@0 ok
         60+110 ok
         120+50 ok
         180 ok
         400 ok    => up>unknown@300 self_stall; [300 unknown self_stall; unknown>up@400 ok; ]400",
    );
}

#[test]
fn freshness_is_twice_the_interval_or_twice_what_a_check_may_take() {
    let slow = Policy {
        check_interval: Duration::from_secs(5),
        timeout: Duration::from_secs(120),
        dns_timeout: Duration::from_secs(5),
        ..policy()
    };
    play(
        &slow,
        "0 ok            => pending>up@0 ok
         5+125 timeout   => look 0@135
         130+125 timeout => up>down@5 tcp_timeout; open#1 critical down from 5 tcp_timeout x2; [5 down tcp_timeout #1",
    );
    play(
        &slow,
        "0 ok     => pending>up@0 ok
         249 tick
         250 tick => up>unknown@250 self_stall; [250 unknown self_stall",
    );
}

#[test]
fn a_location_that_never_reports_is_unknown_and_told_after_three_intervals() {
    let elsewhere = Policy { locations: [LocationId(3), LocationId(4)].into(), ..policy() };
    play(
        &elsewhere,
        "119 tick
         120 tick  => pending>unknown@120 agent_offline; [120 unknown agent_offline
         299 tick
         300 tick  => open#1 warning unknown from 120 agent_offline x0 never_up
         310 @4 ok => unknown>up@310 ok; ]310; close#1 recovered 310 x0",
    );
}

#[test]
fn being_blocked_is_counted_then_told_after_three_intervals_and_is_no_downtime() {
    play(
        &policy(),
        "0 blocked   => look 0@5
         5 blocked   => pending>blocked@5 policy_blocked; [5 blocked policy_blocked
         60 blocked
         120 blocked
         180 blocked
         240 blocked => open#1 warning blocked from 5 policy_blocked x0 never_up
         300 ok      => blocked>up@300 ok; ]300; close#1 recovered 300 x0",
    );
    play(
        &policy(),
        "0 ok        => pending>up@0 ok
         60 blocked  => look 0@65
         65 ok
         120 blocked => look 0@125
         125 blocked => up>blocked@125 policy_blocked; [125 blocked policy_blocked
         180 refused => look 0@185
         185 refused => blocked>down@180 tcp_refused; ]180; open#1 critical down from 180 tcp_refused x2; [180 down tcp_refused #1",
    );
}

#[test]
fn slow_is_a_success_for_down_and_counts_for_degraded() {
    play(
        &policy(),
        "0 ok        => pending>up@0 ok
         60 slow     => look 0@65
         65 slow     => up>degraded@60 tcp_slow; open#1 warning degraded from 60 tcp_slow x2; [60 degraded tcp_slow #1
         120 refused => look 0@125
         125 slow
         180 refused => look 0@185
         185 refused => degraded>down@180 tcp_refused; ]180; update#1 critical down tcp_refused x6; [180 down tcp_refused #1
         240 slow    => down>up@240 ok; ]240; close#1 recovered 240 x7; look 0@245
         245 ok",
    );
}

#[test]
fn a_failure_between_slow_results_starts_their_count_anew() {
    play(
        &policy(),
        "0 ok       => pending>up@0 ok
         60 slow    => look 0@65
         65 refused => look 0@70
         70 slow    => look 0@75
         75 ok",
    );
}

#[test]
fn the_threshold_itself_is_not_slow() {
    let exact = Policy { threshold_us: Some(700_000), ..policy() };
    play(
        &exact,
        "0 slow   => pending>up@0 ok
         60 slow
         120 slow",
    );
    let off = Policy { threshold_us: None, ..policy() };
    play(
        &off,
        "0 slow  => pending>up@0 ok
         60 slow",
    );
}

#[test]
fn from_down_to_slow_the_outage_ends_and_a_degradation_begins_after_its_own_count() {
    play(
        &policy(),
        "0 ok       => pending>up@0 ok
         60 refused => look 0@65
         65 refused => up>down@60 tcp_refused; open#1 critical down from 60 tcp_refused x2; [60 down tcp_refused #1
         120 slow   => down>up@120 ok; ]120; close#1 recovered 120 x3; look 0@125
         125 slow   => up>degraded@120 tcp_slow; open#2 warning degraded from 120 tcp_slow x2; [120 degraded tcp_slow #2
         180 ok     => degraded>up@180 ok; ]180; close#2 recovered 180 x2",
    );
    // With a count of one both happen at once.
    play(
        &Policy { failures: 1, ..policy() },
        "0 ok       => pending>up@0 ok
         60 refused => up>down@60 tcp_refused; open#1 critical down from 60 tcp_refused x1; [60 down tcp_refused #1
         120 slow   => down>degraded@120 tcp_slow; ]120; close#1 recovered 120 x2; open#2 warning degraded from 120 tcp_slow x1; [120 degraded tcp_slow #2
         180 ok     => degraded>up@180 ok; ]180; close#2 recovered 180 x1",
    );
}

#[test]
fn advisory_outcomes_need_the_failure_count_too() {
    play(
        &policy(),
        "0 ok        => pending>up@0 ok
         60 partial  => look 0@65
         65 ok
         120 partial => look 0@125
         125 partial => up>degraded@120 address_partial; open#1 warning degraded from 120 address_partial x2; [120 degraded address_partial #1
         180 slow
         185 slow    => ]185; update#1 warning degraded tcp_slow x4; [185 degraded tcp_slow #1
         240 ok      => degraded>up@240 ok; ]240; close#1 recovered 240 x4",
    );
}

#[test]
fn a_majority_of_fresh_verdicts_decides() {
    // 1 of 1 while nobody else has reported.
    play(
        &seen_from(3),
        "0 @0 refused => look 0@5
         5 @0 refused => pending>down@0 tcp_refused; open#1 critical down from 0 tcp_refused x2 never_up; [0 down tcp_refused #1
         20 @1 ok     => down>up@20 ok; ]20; close#1 recovered 20 x2
         40 @2 ok",
    );
    // 2 of 2.
    play(
        &seen_from(2),
        "0 @0 ok       => pending>up@0 ok
         30 @1 ok
         60 @0 refused => look 0@65
         65 @0 refused => look 1@65
         66 @1 refused => look 1@71
         71 @1 refused => up>down@60 tcp_refused; open#1 critical down from 60 tcp_refused x4; [60 down tcp_refused #1
         90 @1 ok      => down>up@90 ok; ]90; close#1 recovered 90 x4",
    );
    // 2 of 3: the third does not matter.
    play(
        &seen_from(3),
        "0 @0 ok       => pending>up@0 ok
         20 @1 ok
         40 @2 ok
         60 @0 refused => look 0@65
         65 @0 refused => look 1@65; look 2@65
         66 @1 timeout => look 1@71
         66 @2 ok
         71 @1 timeout => up>down@60 tcp_refused; open#1 critical down from 60 tcp_refused x4; [60 down tcp_refused #1
         100 @2 ok
         120 @0 ok     => down>up@120 ok; ]120; close#1 recovered 120 x4",
    );
}

#[test]
fn an_explicit_quorum_is_capped_by_the_fresh_ones() {
    play(
        &Policy { quorum: Some(1), ..seen_from(3) },
        "0 @0 ok       => pending>up@0 ok
         20 @1 ok
         40 @2 ok
         60 @0 refused => look 0@65
         65 @0 refused => up>down@60 tcp_refused; open#1 critical down from 60 tcp_refused x2; [60 down tcp_refused #1
         80 @1 ok
         120 @0 ok     => down>up@120 ok; ]120; close#1 recovered 120 x2",
    );
    play(
        &Policy { quorum: Some(9), ..seen_from(2) },
        "0 @0 ok       => pending>up@0 ok
         30 @1 ok
         60 @0 refused => look 0@65
         65 @0 refused => look 1@65
         90 @1 refused => look 1@95
         95 @1 refused => up>down@60 tcp_refused; open#1 critical down from 60 tcp_refused x4; [60 down tcp_refused #1",
    );
}

#[test]
fn an_outage_is_not_dated_back_to_a_regional_failure_that_was_there_before() {
    play(
        &seen_from(3),
        "0 @0 ok        => pending>up@0 ok
         20 @1 ok
         40 @2 ok
         60 @0 refused  => look 0@65
         65 @0 refused  => look 1@65; look 2@65
         65 @1 ok
         65 @2 ok
         120 @0 refused
         125 @1 ok
         125 @2 ok
         180 @0 refused
         185 @1 refused => look 1@190
         190 @1 refused => up>down@185 tcp_refused; open#1 critical down from 185 tcp_refused x6; [185 down tcp_refused #1",
    );
}

#[test]
fn a_location_that_grew_stale_leaves_the_quorum_and_dates_nothing_back() {
    play(
        &seen_from(2),
        "0 @0 ok        => pending>up@0 ok
         30 @1 ok
         60 @0 refused  => look 0@65
         65 @0 refused  => look 1@65
         66 @1 ok
         120 @0 refused
         180 @0 refused
         186 tick       => up>down@186 tcp_refused; open#1 critical down from 186 tcp_refused x4; [186 down tcp_refused #1
         190 @1 ok      => down>up@190 ok; ]190; close#1 recovered 190 x4",
    );
}

#[test]
fn a_monitor_that_was_never_up_says_so_once() {
    let judge = play(
        &policy(),
        "0 refused   => look 0@5
         5 refused   => pending>down@0 tcp_refused; open#1 critical down from 0 tcp_refused x2 never_up; [0 down tcp_refused #1
         60 refused
         120 ok      => down>up@120 ok; ]120; close#1 recovered 120 x3
         180 refused => look 0@185
         185 refused => up>down@180 tcp_refused; open#2 critical down from 180 tcp_refused x2; [180 down tcp_refused #2",
    );
    assert!(!judge.is_never_up());
}

#[test]
fn before_the_first_success_silence_may_be_asked_for_but_the_truth_is_recorded() {
    let quiet = Policy { alert_before_first_success: false, ..policy() };
    let mut judge = play(
        &quiet,
        "0 refused  => look 0@5
         5 refused  => pending>down@0 tcp_refused; [0 down tcp_refused
         60 refused",
    );
    assert_eq!((judge.status(), judge.since()), (Status::Down, secs(0)));
    let loud = policy();
    let mut other = judge.clone();
    play_on(&mut other, &loud, "70 revise => open#1 critical down from 0 tcp_refused x3 never_up");
    play_on(
        &mut judge,
        &quiet,
        "120 ok      => down>up@120 ok; ]120
         180 refused => look 0@185
         185 refused => up>down@180 tcp_refused; open#1 critical down from 180 tcp_refused x2; [180 down tcp_refused #1",
    );
}

#[test]
fn the_cause_of_an_incident_changes_only_when_confirmed() {
    play(
        &policy(),
        "0 ok             => pending>up@0 ok
         60 refused       => look 0@65
         65 refused       => up>down@60 tcp_refused; open#1 critical down from 60 tcp_refused x2; [60 down tcp_refused #1
         120 timeout
         180 refused
         240 timeout
         300 self_network
         360 timeout      => ]360; update#1 critical down tcp_timeout x6; [360 down tcp_timeout #1
         420 timeout
         480 ok           => down>up@480 ok; ]480; close#1 recovered 480 x7",
    );
}

#[test]
fn two_locations_with_two_causes_do_not_chatter() {
    play(
        &seen_from(2),
        "0 @0 refused   => look 0@5
         1 @1 timeout   => look 1@6
         5 @0 refused   => pending>down@0 tcp_refused; open#1 critical down from 0 tcp_refused x3 never_up; [0 down tcp_refused #1
         6 @1 timeout
         60 @0 refused
         61 @1 timeout
         120 @0 timeout
         121 @1 timeout
         180 @0 timeout => ]180; update#1 critical down tcp_timeout x9; [180 down tcp_timeout #1",
    );
}

#[test]
fn flapping_is_one_incident_told_twice() {
    let damped = Policy {
        flap_changes: 6,
        flap_window: Duration::from_secs(1_200),
        flap_hold: Duration::from_secs(600),
        failures: 1,
        ..policy()
    };
    play(
        &damped,
        "0 ok        => pending>up@0 ok
         60 refused  => up>down@60 tcp_refused; open#1 critical down from 60 tcp_refused x1; [60 down tcp_refused #1
         120 ok      => down>up@120 ok; ]120; close#1 recovered 120 x1
         180 refused => up>down@180 tcp_refused; open#2 critical down from 180 tcp_refused x1; [180 down tcp_refused #2
         240 ok      => down>up@240 ok; ]240; close#2 recovered 240 x1
         300 refused => up>down@300 tcp_refused; open#3 critical down from 300 tcp_refused x1; [300 down tcp_refused #3
         360 ok      => down>up@360 ok; ]360; flap#3 6 up
         420 refused => up>down@420 tcp_refused; [420 down tcp_refused #3
         480 ok      => down>up@480 ok; ]480
         540 ok
         600 ok
         660 ok
         720 ok
         780 ok
         840 ok
         900 ok
         960 ok
         1020 ok
         1079 tick
         1080 tick   => close#3 recovered 480 x2",
    );
    // Steady in another state than up: the incident stays open.
    play(
        &Policy { flap_changes: 2, ..damped.clone() },
        "0 ok        => pending>up@0 ok
         60 refused  => up>down@60 tcp_refused; open#1 critical down from 60 tcp_refused x1; [60 down tcp_refused #1
         120 ok      => down>up@120 ok; ]120; flap#1 2 up
         180 refused => up>down@180 tcp_refused; [180 down tcp_refused #1
         240 refused
         300 refused
         360 refused
         420 refused
         480 refused
         540 refused
         600 refused
         660 refused
         720 refused
         780 refused
         781 tick    => steady#1 down tcp_refused
         840 ok      => down>up@840 ok; ]840; close#1 recovered 840 x12",
    );
    // Changes that are far apart do not flap.
    play(
        &Policy { flap_changes: 2, flap_window: Duration::from_secs(59), ..damped },
        "0 ok        => pending>up@0 ok
         60 refused  => up>down@60 tcp_refused; open#1 critical down from 60 tcp_refused x1; [60 down tcp_refused #1
         120 ok      => down>up@120 ok; ]120; close#1 recovered 120 x1
         180 refused => up>down@180 tcp_refused; open#2 critical down from 180 tcp_refused x1; [180 down tcp_refused #2
         240 ok      => down>up@240 ok; ]240; close#2 recovered 240 x1",
    );
}

#[test]
fn restarts_in_maintenance_are_no_flapping() {
    play(
        &Policy { flap_changes: 4, failures: 1, ..policy() },
        "0 ok           => pending>up@0 ok
         60 maintain    => up>maintenance@60 ok; [60 maintenance ok
         120 refused    => ]120; [120 maintenance tcp_refused
         180 ok         => ]180; [180 maintenance ok
         240 refused    => ]240; [240 maintenance tcp_refused
         300 ok         => ]300; [300 maintenance ok
         360 refused    => ]360; [360 maintenance tcp_refused
         420 ok         => ]420; [420 maintenance ok
         480 maintained => maintenance>up@480 ok; ]480
         540 refused    => up>down@540 tcp_refused; open#1 critical down from 540 tcp_refused x1; [540 down tcp_refused #1
         600 ok         => down>up@600 ok; ]600; close#1 recovered 600 x1
         660 refused    => up>down@660 tcp_refused; open#2 critical down from 660 tcp_refused x1; [660 down tcp_refused #2
         720 ok         => down>up@720 ok; ]720; flap#2 4 up",
    );
}

#[test]
fn a_pause_closes_and_forgets() {
    play(
        &policy(),
        "0 ok           => pending>up@0 ok
         60 refused     => look 0@65
         65 refused     => up>down@60 tcp_refused; open#1 critical down from 60 tcp_refused x2; [60 down tcp_refused #1
         70 pause       => close#1 paused 70 x2; down>paused@70 ok; ]70; [70 paused ok
         71 refused
         80 pause
         500 tick
         600 resume     => paused>pending@600 ok; ]600; [600 pending ok
         590+15 refused
         610 refused    => look 0@615
         615 ok         => pending>up@615 ok; ]615",
    );
}

#[test]
fn removal_closes_and_a_return_from_the_bin_goes_on_counting() {
    play(
        &policy(),
        "0 ok         => pending>up@0 ok
         60 refused   => look 0@65
         65 refused   => up>down@60 tcp_refused; open#1 critical down from 60 tcp_refused x2; [60 down tcp_refused #1
         70 remove    => close#1 removed 70 x2; down>paused@70 ok; ]70; [70 paused ok
         80 remove
         90 refused
         9000 resume  => paused>pending@9000 ok; ]9000; [9000 pending ok
         9001 refused => look 0@9006
         9006 refused => pending>down@9001 tcp_refused; ]9001; open#2 critical down from 9001 tcp_refused x2; [9001 down tcp_refused #2",
    );
}

#[test]
fn another_target_supersedes_and_starts_anew() {
    let judge = play(
        &policy(),
        "0 ok         => pending>up@0 ok
         60 refused   => look 0@65
         65 refused   => up>down@60 tcp_refused; open#1 critical down from 60 tcp_refused x2; [60 down tcp_refused #1
         70 reset     => close#1 superseded 70 x2; down>pending@70 ok; ]70; [70 pending ok
         66+5 refused
         75 refused   => look 0@80
         80 refused   => pending>down@75 tcp_refused; ]75; open#2 critical down from 75 tcp_refused x2 never_up; [75 down tcp_refused #2",
    );
    assert!(judge.is_never_up(), "the new target has not been up");
    play(
        &policy(),
        "0 ok       => pending>up@0 ok
         60 refused => look 0@65
         61 revise
         65 refused => up>down@60 tcp_refused; open#1 critical down from 60 tcp_refused x2; [60 down tcp_refused #1",
    );
}

#[test]
fn maintenance_records_opens_nothing_and_is_judged_afresh_at_its_end() {
    play(
        &policy(),
        "0 ok           => pending>up@0 ok
         60 refused     => look 0@65
         61 maintain    => up>maintenance@61 ok; [61 maintenance ok
         65 refused     => ]61; [61 maintenance tcp_refused
         120 refused
         180 ok         => ]180; [180 maintenance ok
         240 refused
         245 refused    => ]240; [240 maintenance tcp_refused
         300 maintained => maintenance>down@300 tcp_refused; ]300; open#1 critical down from 240 tcp_refused x2; [300 down tcp_refused #1
         360 ok         => down>up@360 ok; ]360; close#1 recovered 360 x2",
    );
    // An incident from before ends when it ends.
    play(
        &policy(),
        "0 ok           => pending>up@0 ok
         60 refused     => look 0@65
         65 refused     => up>down@60 tcp_refused; open#1 critical down from 60 tcp_refused x2; [60 down tcp_refused #1
         70 maintain    => down>maintenance@70 tcp_refused; ]70; [70 maintenance tcp_refused #1
         120 timeout
         180 timeout    => ]180; [180 maintenance tcp_timeout #1
         240 ok         => ]240; close#1 recovered 240 x4; [240 maintenance ok
         300 maintained => maintenance>up@300 ok; ]300",
    );
    // A streak is not lost.
    play(
        &policy(),
        "0 ok           => pending>up@0 ok
         60 maintain    => up>maintenance@60 ok; [60 maintenance ok
         120 refused
         121 maintained => maintenance>up@121 ok; ]121; look 0@121
         126 refused    => up>down@121 tcp_refused; open#1 critical down from 120 tcp_refused x2; [121 down tcp_refused #1",
    );
}

#[test]
fn a_restart_is_not_an_event() {
    play(
        &policy(),
        "0 ok              => pending>up@0 ok
         60 refused        => look 0@65
         90 restart 29     => look 0@90
         95 refused        => up>down@60 tcp_refused; open#1 critical down from 60 tcp_refused x2; [60 down tcp_refused #1
         96 restart 1
         2000 restart 1900
         2010 tick
         2119 tick
         2120 ok           => down>up@2120 ok; ]2120; close#1 recovered 2120 x2",
    );
    // Nobody is blamed for the gap, and what was begun before a long one is not dated back over it.
    play(
        &policy(),
        "0 ok              => pending>up@0 ok
         60 refused        => look 0@65
         9000 restart 8939 => look 0@9000
         9005 refused      => up>down@9005 tcp_refused; open#1 critical down from 9005 tcp_refused x2; [9005 down tcp_refused #1",
    );
    // What is overdue is done at once.
    play(
        &Policy { flap_changes: 2, failures: 1, ..policy() },
        "0 ok              => pending>up@0 ok
         60 refused        => up>down@60 tcp_refused; open#1 critical down from 60 tcp_refused x1; [60 down tcp_refused #1
         120 ok            => down>up@120 ok; ]120; flap#1 2 up
         180 refused       => up>down@180 tcp_refused; [180 down tcp_refused #1
         9000 restart 8819 => steady#1 down tcp_refused",
    );
}

#[test]
fn a_location_that_went_blind_is_no_row_of_each_monitor() {
    play(
        &policy(),
        "0 ok             => pending>up@0 ok
         10 lost @0
         60 self_network
         120 tick         => up>unknown@120 self_network
         999 self_network
         9000 back @0
         9060 ok          => unknown>up@9060 ok",
    );
    // Down before, down after: one incident.
    play(
        &policy(),
        "0 refused   => look 0@5
         5 refused   => pending>down@0 tcp_refused; open#1 critical down from 0 tcp_refused x2 never_up; [0 down tcp_refused #1
         10 lost @0
         125 tick    => down>unknown@125 self_network; ]125
         900 back @0
         910 refused => unknown>down@910 tcp_refused; [910 down tcp_refused #1",
    );
    // It is back, but nothing comes: unknown on its own.
    play(
        &policy(),
        "0 ok        => pending>up@0 ok
         10 lost @0
         120 tick    => up>unknown@120 self_network
         900 back @0
         1020 tick   => [1020 unknown self_network
         1200 tick   => open#1 warning unknown from 1020 self_network x0",
    );
    // One of two places is blind: the other decides.
    play(
        &seen_from(2),
        "0 @0 ok       => pending>up@0 ok
         0 @1 ok
         1 lost @0
         60 @1 refused => look 1@65
         65 @1 refused => look 0@65
         120 tick      => up>down@120 tcp_refused; open#1 critical down from 120 tcp_refused x2; [120 down tcp_refused #1",
    );
}

#[test]
fn late_double_and_disordered_results_are_not_judged() {
    play(
        &policy(),
        "0 ok            => pending>up@0 ok
         60 refused      => look 0@65
         60 refused
         30+40 refused
         65+121 refused
         66+100 refused  => up>down@60 tcp_refused; open#1 critical down from 60 tcp_refused x2; [60 down tcp_refused #1
         9999 @7 refused",
    );
    // From a clock that is far ahead.
    let mut judge = play(&policy(), "0 ok => pending>up@0 ok");
    let mut out = Vec::new();
    let ahead = quaywatch_core::judge::Input::Observed {
        location: LocationId::LOCAL,
        slot: secs(9_000),
        code: quaywatch_core::ErrorCode::TcpRefused,
        latency_us: None,
    };
    judge.handle(&policy(), ahead, secs(60), &mut out);
    assert_eq!(out, []);
    play_on(&mut judge, &policy(), "60 refused => look 0@65");
}

#[test]
fn after_the_clock_was_set_back_results_count_again() {
    play(
        &policy(),
        "7200 ok      => pending>unknown@120 self_stall; [120 unknown self_stall; open#1 warning unknown from 120 self_stall x0 never_up; unknown>up@7200 ok; ]7200; close#1 recovered 7200 x0
         3600 refused
         3660 clock
         3661 refused => look 0@3666
         3666 refused => up>down@7200 tcp_refused; open#2 critical down from 3661 tcp_refused x2; [7200 down tcp_refused #2
         3720 ok      => down>up@7200 ok; ]7200; close#2 recovered 3720 x2",
    );
}

#[test]
fn a_revision_may_change_the_locations() {
    let mut judge = play(
        &seen_from(2),
        "0 @0 refused => look 0@5
         1 @1 ok      => pending>up@1 ok
         5 @0 refused => look 1@5",
    );
    play_on(
        &mut judge,
        &policy(),
        "10 revise => up>down@10 tcp_refused; open#1 critical down from 10 tcp_refused x2; [10 down tcp_refused #1",
    );
    play_on(
        &mut judge,
        &seen_from(3),
        "20 revise
         21 @1 ok  => down>up@21 ok; ]21; close#1 recovered 21 x2
         22 @2 ok",
    );
}

#[test]
fn new_locations_are_taken_over_with_the_first_result_under_the_new_policy() {
    let mut judge = play(&policy(), "0 ok => pending>up@0 ok");
    play_on(&mut judge, &seen_from(2), "60 ok");
    assert_eq!(
        judge.locations().collect::<Vec<_>>(),
        [(LocationId(0), Status::Up), (LocationId(1), Status::Pending)]
    );
}

#[test]
fn only_what_must_survive_a_restart_is_stored() {
    let policy = policy();
    let mut judge = Judge::new(secs(0));
    let mut dirty = |script: &str| {
        let mut out = Vec::new();
        for line in script.lines().map(str::trim) {
            let (time, code) = line.split_once(' ').expect("time and code");
            let slot = secs(time.parse().expect("seconds"));
            let code = code.parse().expect("a code");
            let input = quaywatch_core::judge::Input::Observed {
                location: LocationId::LOCAL,
                slot,
                code,
                latency_us: None,
            };
            judge.handle(&policy, input, slot, &mut out);
        }
        judge.take_dirty()
    };
    assert!(dirty("0 ok"), "it is up for the first time");
    assert!(!dirty("60 ok\n120 ok\n180 ok"));
    assert!(!dirty("240 self_network"), "not ours to blame, not worth a row");
    assert!(dirty("300 tcp_refused"), "a streak begins");
    assert!(dirty("305 tcp_refused"), "an outage");
    let written = (0..1_000).filter(|i| dirty(&format!("{} tcp_refused", 360 + 60 * i))).count();
    assert_eq!(written, 0, "an outage that goes on is worth no row");
    assert!(dirty("70000 ok"));
    assert!(!dirty("70060 ok"));
}

#[test]
fn failed_checks_since_the_state_was_written_are_reckoned() {
    let policy = policy();
    let down = "60 refused => look 0@65
         65 refused => up>down@60 tcp_refused; open#1 critical down from 60 tcp_refused x2; [60 down tcp_refused #1";
    let mut judge = play(&policy, "0 ok => pending>up@0 ok");
    play_on(&mut judge, &policy, down);
    // Written here; then ten more failures, and the process is killed after the last of them.
    let stored = judge.encode();
    for slot in (120..=660).step_by(60) {
        play_on(&mut judge, &policy, &format!("{slot} refused"));
    }
    let mut again = Judge::decode(&stored).expect("what was written can be read");
    again.take_dirty();
    again.reckon(&policy, secs(670));
    assert!(again.take_dirty(), "what was reckoned once is not reckoned again after the next crash");
    let end = "720 ok => down>up@720 ok; ]720; close#1 recovered 720 x12";
    play_on(&mut judge, &policy, end);
    play_on(&mut again, &policy, "680 restart 10");
    // Killed once more before it saw anything: the time in between was no failure.
    let mut again = Judge::decode(&again.encode()).expect("what was written can be read");
    again.reckon(&policy, secs(690));
    play_on(&mut again, &policy, "700 restart 10");
    play_on(&mut again, &policy, end);

    // Of one that began to recover nobody knows how it went on; who is well or paused did not fail.
    let patient = Policy { successes: 3, ..policy };
    for script in ["60 ok => pending>up@60 ok", "60 pause => pending>paused@60 ok; [60 paused ok"] {
        let mut judge = play(&patient, script);
        judge.take_dirty();
        judge.reckon(&patient, secs(6_000));
        assert!(!judge.take_dirty(), "{script}");
    }
    let mut judge = play(&patient, "0 ok => pending>up@0 ok");
    play_on(&mut judge, &patient, down);
    play_on(&mut judge, &patient, "120 ok => look 0@125");
    judge.take_dirty();
    judge.reckon(&patient, secs(6_000));
    assert!(!judge.take_dirty());
}

#[test]
fn no_bytes_make_it_panic() {
    let mut judge = Judge::new(secs(1_700_000_000));
    play_on(&mut judge, &seen_from(3), "1700000001 @2 ok => pending>up@1700000001 ok");
    let good = judge.encode();
    for length in 0..good.len() {
        assert!(Judge::decode(&good[..length]).is_err(), "cut to {length} bytes");
    }
    let mut longer = good.clone();
    longer.push(0);
    assert!(Judge::decode(&longer).is_err());
    assert!(Judge::decode(&[2]).is_err(), "another version");
    assert_eq!(Judge::decode(&good).as_ref(), Ok(&judge));
    assert!(good.len() < 128, "{} bytes", good.len());
}
