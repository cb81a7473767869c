//! All bodies, for tests and fuzz targets that walk them.

use super::body::Body;

/// Every body, and every part of one, as it is declared.
pub fn bodies() -> impl Iterator<Item = &'static Body> {
    let declared = [
        super::bootstrap::BODIES,
        super::check_status::BODIES,
        super::cipher::BODIES,
        super::empty::BODIES,
        super::explain::BODIES,
        super::keeper::BODIES,
        super::metadata::BODIES,
        super::operator::BODIES,
        super::policy::BODIES,
        super::secret::BODIES,
        super::status::BODIES,
        super::store_status::BODIES,
    ];
    declared.into_iter().flatten()
}
