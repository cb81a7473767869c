//! The rows of the table of operations that belong to a Keeper.

use std::fmt;

use bytes::Bytes;
use spike_domain::Role;

use super::any_operation::AnyOperation;
use super::error::{ErrorCode, ErrorFrame};
use super::route::Route;
use super::rule::{Needs, Rule};
use super::table::Row;
use super::target::first_action;

operations! {
    /// The operations of a Keeper.
    KeeperOperation {
        /// K1: contribute a share to the Keeper.
        Contribute => Row {
            label: "keeper_contribute",
            rule: Rule::Roles(&[Role::Nexus, Role::Bootstrap]),
            needs: Needs::Nothing,
            changes: true,
            route: Route::new("/v1/store/contribute"),
            audit: ("RouteContribute", "create"),
            error: ErrorFrame::PLAIN,
        },
        /// K2: read the Keeper's share.
        Shard => Row {
            label: "keeper_shard",
            rule: Rule::Roles(&[Role::Nexus]),
            needs: Needs::Nothing,
            changes: false,
            route: Route::new("/v1/store/shard"),
            audit: ("RouteShard", "read"),
            error: ErrorFrame::SHARD,
        },
        /// Ours, unknown upstream: whether the Keeper holds a share.
        Status => Row {
            label: "keeper_status",
            rule: Rule::Roles(&[Role::Nexus, Role::Bootstrap]),
            needs: Needs::Nothing,
            changes: false,
            route: Route::new("/v1/store/status"),
            audit: ("RouteKeeperStatus", "read"),
            error: ErrorFrame::PLAIN,
        },
    }
}
