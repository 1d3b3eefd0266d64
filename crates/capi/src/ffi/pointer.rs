//! Pointers that cross the boundary. All raw memory of callers is touched here and nowhere else.
//!
//! Each type is a bare pointer in C. Its value can only come from a caller of an exported function, who promises in the
//! header what the type says here; Rust code has no way to make one. That promise is what every `SAFETY` below rests on.

use core::ffi::{CStr, c_char};
use core::marker::PhantomData;

use crate::Status;
use crate::declare::CType;

/// Null, or a struct that may be read.
#[repr(transparent)]
pub struct In<T>(*const T);

impl<T: zerocopy::FromBytes> In<T> {
    /// A copy, so that nothing depends on what the caller does with the original. Any alignment will do.
    pub fn read(&self) -> Result<T, Status> {
        if self.0.is_null() {
            return Err(Status::Null);
        }
        // SAFETY: the caller promises that a pointer to a struct is null or points to one that is whole, and any bytes
        // are a value of `T`.
        Ok(unsafe { self.0.read_unaligned() })
    }

    pub fn is_null(&self) -> bool {
        self.0.is_null()
    }
}

impl<T: CType> CType for In<T> {
    fn declare(inner: &str) -> String {
        <*const T as CType>::declare(inner)
    }
}

/// Null, or room for one value.
#[repr(transparent)]
pub struct Out<T>(*mut T);

impl<T> Out<T> {
    pub fn write(&self, value: T) -> Result<(), Status> {
        self.not_null()?;
        self.write_if_wanted(value);
        Ok(())
    }

    /// For results that a caller may leave out.
    pub fn write_if_wanted(&self, value: T) {
        if !self.0.is_null() {
            // SAFETY: the caller promises that a pointer to a result is null or points to room for it.
            unsafe { self.0.write_unaligned(value) }
        }
    }

    /// To be asked before anything happens that could not be told.
    pub fn not_null(&self) -> Result<(), Status> {
        if self.0.is_null() { Err(Status::Null) } else { Ok(()) }
    }
}

impl<T: CType> CType for Out<T> {
    fn declare(inner: &str) -> String {
        T::declare_out(inner)
    }
}

/// Room for several values; how many stands beside it. May be null when that is zero.
#[repr(transparent)]
pub struct OutMany<T>(*mut T);

impl<T> OutMany<T> {
    pub fn has_room(&self, room: u32) -> Result<(), Status> {
        if self.0.is_null() && room != 0 { Err(Status::Null) } else { Ok(()) }
    }

    /// Writes the first values, as many as there is room for, and returns how many there are.
    pub fn write_all(&self, room: u32, values: impl Iterator<Item = T>) -> Result<u32, Status> {
        self.has_room(room)?;
        let mut counted = 0_u32;
        for value in values {
            if counted < room {
                // SAFETY: the caller promises room for `room` values, and fewer have been written.
                unsafe { self.0.add(counted as usize).write_unaligned(value) }
            }
            counted = counted.saturating_add(1);
        }
        Ok(counted)
    }
}

impl<T: CType> CType for OutMany<T> {
    fn declare(inner: &str) -> String {
        <*mut T as CType>::declare(inner)
    }
}

/// Null, or so many bytes as stand beside it.
#[repr(transparent)]
pub struct Bytes(*const core::ffi::c_void);

impl Bytes {
    /// Hands a copy of the bytes to `use_them`, if there are at most `N`.
    pub fn read<const N: usize>(&self, len: usize) -> Result<[u8; N], Status> {
        if self.0.is_null() {
            return Err(Status::Null);
        }
        if len > N {
            return Err(Status::Size);
        }
        let mut copy = [0; N];
        // SAFETY: the caller promises `len` bytes behind the pointer, the copy has room for them, and it is our own.
        unsafe { core::ptr::copy_nonoverlapping(self.0.cast::<u8>(), copy.as_mut_ptr(), len) }
        Ok(copy)
    }
}

impl CType for Bytes {
    fn declare(inner: &str) -> String {
        <*const core::ffi::c_void as CType>::declare(inner)
    }
}

/// Null, or a text that ends with a zero byte.
#[repr(transparent)]
pub struct Text<'a>(*const c_char, PhantomData<&'a c_char>);

impl<'a> Text<'a> {
    pub fn read(&self) -> Result<&'a str, Status> {
        if self.0.is_null() {
            return Err(Status::Null);
        }
        // SAFETY: the caller promises a zero byte at the end and leaves the text alone during the call; `'a` ends with it.
        let text = unsafe { CStr::from_ptr(self.0) };
        text.to_str().map_err(|_| Status::Text)
    }
}

impl CType for Text<'_> {
    fn declare(inner: &str) -> String {
        format!("const char *{inner}")
    }
}

/// A text of ours, or null.
#[repr(transparent)]
pub struct TextOut(*const c_char);

impl TextOut {
    pub fn of(text: Option<&CStr>) -> Self {
        Self(text.map_or(core::ptr::null(), CStr::as_ptr))
    }
}

impl CType for TextOut {
    fn declare(inner: &str) -> String {
        format!("const char *{inner}")
    }
}
