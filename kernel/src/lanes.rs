//! Sixteen bytes at a time. Nothing here has a pointer: what is unsafe is that the processor must have the instructions,
//! and every x86-64 has SSE2, as every aarch64 has NEON.
#![allow(unused_unsafe)] // newer compilers know that

pub use imp::{at_most, bits, first, first_not, minus, of, or, same, splat, Lanes};

#[cfg(target_arch = "x86_64")]
mod imp {
    use core::arch::x86_64::*;

    pub type Lanes = __m128i;

    #[inline(always)]
    pub fn of(bytes: &[u8; 16]) -> Lanes {
        let all = u128::from_le_bytes(*bytes);
        unsafe { _mm_set_epi64x((all >> 64) as i64, all as i64) }
    }

    #[inline(always)]
    pub fn splat(byte: u8) -> Lanes {
        unsafe { _mm_set1_epi8(byte as i8) }
    }

    /// In the lanes that are the same all bits are set, in the others none.
    #[inline(always)]
    pub fn same(one: Lanes, two: Lanes) -> Lanes {
        unsafe { _mm_cmpeq_epi8(one, two) }
    }

    #[inline(always)]
    pub fn at_most(one: Lanes, two: Lanes) -> Lanes {
        unsafe { _mm_cmpeq_epi8(_mm_min_epu8(one, two), one) }
    }

    #[inline(always)]
    pub fn or(one: Lanes, two: Lanes) -> Lanes {
        unsafe { _mm_or_si128(one, two) }
    }

    #[inline(always)]
    pub fn minus(one: Lanes, two: Lanes) -> Lanes {
        unsafe { _mm_sub_epi8(one, two) }
    }

    /// A bit for each lane.
    #[inline(always)]
    pub fn bits(lanes: Lanes) -> u64 {
        unsafe { _mm_movemask_epi8(lanes) as u32 as u64 }
    }

    /// The first lane that is set; 16 for none.
    #[inline(always)]
    pub fn first(lanes: Lanes) -> usize {
        (bits(lanes) as u32 | 1 << 16).trailing_zeros() as usize
    }

    /// The first lane that is not set; 16 for none.
    #[inline(always)]
    pub fn first_not(lanes: Lanes) -> usize {
        (!bits(lanes) as u32).trailing_zeros() as usize
    }
}

#[cfg(target_arch = "aarch64")]
mod imp {
    use core::arch::aarch64::*;

    pub type Lanes = uint8x16_t;

    #[inline(always)]
    pub fn of(bytes: &[u8; 16]) -> Lanes {
        let all = u128::from_le_bytes(*bytes);
        unsafe {
            let halves = vcombine_u64(vcreate_u64(all as u64), vcreate_u64((all >> 64) as u64));
            vreinterpretq_u8_u64(halves)
        }
    }

    #[inline(always)]
    pub fn splat(byte: u8) -> Lanes {
        unsafe { vdupq_n_u8(byte) }
    }

    #[inline(always)]
    pub fn same(one: Lanes, two: Lanes) -> Lanes {
        unsafe { vceqq_u8(one, two) }
    }

    #[inline(always)]
    pub fn at_most(one: Lanes, two: Lanes) -> Lanes {
        unsafe { vcleq_u8(one, two) }
    }

    #[inline(always)]
    pub fn or(one: Lanes, two: Lanes) -> Lanes {
        unsafe { vorrq_u8(one, two) }
    }

    #[inline(always)]
    pub fn minus(one: Lanes, two: Lanes) -> Lanes {
        unsafe { vsubq_u8(one, two) }
    }

    /// Four bits for each lane.
    #[inline(always)]
    fn nibbles(lanes: Lanes) -> u64 {
        unsafe { vget_lane_u64::<0>(vreinterpret_u64_u8(vshrn_n_u16::<4>(vreinterpretq_u16_u8(lanes)))) }
    }

    #[inline(always)]
    pub fn bits(lanes: Lanes) -> u64 {
        unsafe {
            let weights = vreinterpretq_u8_u64(vdupq_n_u64(0x8040_2010_0804_0201));
            let weighed = vandq_u8(lanes, weights);
            let (low, high) = (vaddv_u8(vget_low_u8(weighed)), vaddv_u8(vget_high_u8(weighed)));
            low as u64 | (high as u64) << 8
        }
    }

    #[inline(always)]
    pub fn first(lanes: Lanes) -> usize {
        (nibbles(lanes).trailing_zeros() / 4) as usize
    }

    #[inline(always)]
    pub fn first_not(lanes: Lanes) -> usize {
        (!nibbles(lanes)).trailing_zeros() as usize / 4
    }
}
