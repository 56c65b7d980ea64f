//! Other implementations of what libmcrpc speaks, and the comparison with them. For tests, benchmarks and fuzzing only.

pub mod baidu;
