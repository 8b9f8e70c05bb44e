//! The allocator: the system's, with large blocks on cache lines.
//!
//! The TLS library copies each record into a fresh block. With glibc on recent processors a copy to a destination that isn't aligned takes
//! several times as long, which made a download over TLS nearly twice as slow.

use std::alloc::{GlobalAlloc, Layout, System};

#[global_allocator]
static ALLOCATOR: Aligned = Aligned;

struct Aligned;

/// Blocks of these sizes are aligned: records and buffers. A larger one is the bytes of a file in memory, which grows; without an
/// alignment of its own the system moves its pages then, with one it would be copied, and both copies would be there at once.
const ALIGNED: std::ops::Range<usize> = 4096..1 << 20;
/// A cache line.
const LINE: usize = 64;

/// What the system is asked for: the same function of the layout each time, so that a block is freed as it was had.
fn asked(layout: Layout) -> Layout {
    if !ALIGNED.contains(&layout.size()) { layout } else { layout.align_to(LINE).unwrap_or(layout) }
}

// SAFETY: each function passes on to the system's allocator with a layout that is at least as strict, and the same for the same block.
unsafe impl GlobalAlloc for Aligned {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's contract; `asked` keeps the size.
        unsafe { System.alloc(asked(layout)) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as in `alloc`.
        unsafe { System.alloc_zeroed(asked(layout)) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract; the block was had with the same `asked(layout)`.
        unsafe { System.dealloc(block, asked(layout)) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller's contract: the new size is not 0 and no layout with it overflows.
        let new = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        if asked(layout).align() == asked(new).align() {
            // SAFETY: the block was had with `asked(layout)`, and the alignment stays.
            return unsafe { System.realloc(block, asked(layout), new_size) };
        }
        // SAFETY: the caller's contract; both blocks have at least the bytes that are copied, and don't overlap.
        unsafe {
            let moved = System.alloc(asked(new));
            if !moved.is_null() {
                std::ptr::copy_nonoverlapping(block, moved, layout.size().min(new_size));
                System.dealloc(block, asked(layout));
            }
            moved
        }
    }
}
