//! Choosing an endpoint, as a client sees it.

mod smoke;
