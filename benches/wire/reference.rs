//! The call that everybody carries.

pub const SERVICE: &str = "mmuser.UserService";
pub const METHOD: &str = "GetProfile";
pub const FULL_NAME: &str = "mmuser.UserService.GetProfile";
pub const CALLER: &str = "mmproxy";
pub const CALL_ID: u32 = 0x1234_5678;
pub const UIN: u64 = 2_709_160_720;
pub const BUSINESS_ID: u16 = 138;
pub const PRIORITY: u8 = 2;
pub const BUDGET_MS: u32 = 800;
pub const TRACE_ID: [u8; 16] = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes();
pub const SPAN_ID: [u8; 8] = 0xb7ad_6b71_6920_3331_u64.to_be_bytes();
pub const PAYLOAD: [u8; 64] = [0x5A; 64];
