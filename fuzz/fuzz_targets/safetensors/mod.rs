//! Changes to safetensors files.

use libfuzzer_sys::fuzzer_mutate;

/// A change of a file of `size` bytes, to at most `max_size`.
///
/// Most changes to the length of the header make everything behind it worthless, so half of the
/// changes are to the header alone, and its length is made right.
pub fn mutate(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let Some((length, rest)) = data[..size].split_first_chunk::<8>() else {
        return fuzzer_mutate(data, size, max_size);
    };
    let header = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
    if seed % 2 == 0 || header > rest.len() {
        return fuzzer_mutate(data, size, max_size);
    }
    let numbers = rest[header..].to_vec();
    let most = max_size - 8 - numbers.len();
    let header = fuzzer_mutate(&mut data[8..], header, most);
    data[..8].copy_from_slice(&(header as u64).to_le_bytes());
    data[8 + header..][..numbers.len()].copy_from_slice(&numbers);
    8 + header + numbers.len()
}
