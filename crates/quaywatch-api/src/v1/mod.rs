//! The endpoints, one file a resource.

mod presets;

use crate::framework::Routes;

/// Registers all of them.
pub(crate) fn routes(routes: &mut Routes) {
    presets::routes(routes);
}
