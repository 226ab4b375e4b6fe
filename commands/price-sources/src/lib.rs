//! nsl-price-sources
