//! How Rust items say what they are in C, so that the header is generated from the code that it describes.

/// A type that may cross the boundary.
pub trait CType {
    /// A C declaration of `inner`, which is a name or a declarator around one: `uint32_t account`.
    fn declare(inner: &str) -> String;

    /// A parameter that points to room for one: an array is its own pointer.
    fn declare_out(inner: &str) -> String {
        Self::declare(&format!("*{inner}"))
    }
}

macro_rules! c_types {
    ($($rust:ty => $c:literal,)*) => {
        $(impl CType for $rust {
            fn declare(inner: &str) -> String {
                format!(concat!($c, " {}"), inner)
            }
        })*
    };
}

c_types! {
    u8 => "uint8_t",
    u16 => "uint16_t",
    u32 => "uint32_t",
    u64 => "uint64_t",
    i32 => "int32_t",
    i64 => "int64_t",
    usize => "size_t",
    core::ffi::c_void => "void",
    crate::Status => "jb_status",
}

impl CType for () {
    fn declare(inner: &str) -> String {
        format!("void {inner}")
    }
}

impl<T: CType, const N: usize> CType for [T; N] {
    fn declare(inner: &str) -> String {
        T::declare(&format!("{inner}[{N}]"))
    }

    fn declare_out(inner: &str) -> String {
        Self::declare(inner)
    }
}

impl<T: CType> CType for *const T {
    fn declare(inner: &str) -> String {
        format!("const {}", T::declare(&format!("*{inner}")))
    }
}

impl<T: CType> CType for *mut T {
    fn declare(inner: &str) -> String {
        T::declare(&format!("*{inner}"))
    }
}

/// The C name of a message's struct: `NewOrder` is `jb_new_order`.
pub fn message_type(name: &str) -> String {
    format!("jb_{}", snake_case(name))
}

/// `NewOrder` as `new_order`, `FokNotFillable` as `fok_not_fillable`, `cancel-both` as `cancel_both`.
pub fn snake_case(name: &str) -> String {
    let mut out = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(if letter == '-' { '_' } else { letter.to_ascii_lowercase() });
    }
    out
}

/// An exported function.
#[derive(Clone, Debug)]
pub struct FunctionInfo {
    pub name: &'static str,
    pub doc: &'static str,
    /// The whole prototype, without the semicolon.
    pub prototype: String,
}

/// A struct that is no message of the protocol.
#[derive(Clone, Debug)]
pub struct StructInfo {
    pub c_name: &'static str,
    pub doc: &'static str,
    pub size: usize,
    pub fields: Vec<MemberInfo>,
}

#[derive(Clone, Debug)]
pub struct MemberInfo {
    pub doc: &'static str,
    pub declaration: String,
    pub offset: usize,
    pub name: &'static str,
}

/// Defines plain C structs without padding and the list of them.
macro_rules! c_structs {
    ($($(#[doc = $doc:literal])+ $name:ident as $c_name:literal {
        $($(#[doc = $field_doc:literal])* $field:ident: $type:ty,)*
    })+) => {
        $(
            $(#[doc = $doc])+
            #[derive(Clone, Copy, Debug, Default)]
            #[repr(C)]
            pub struct $name { $($(#[doc = $field_doc])* pub $field: $type,)* }

            impl $crate::declare::CType for $name {
                fn declare(inner: &str) -> String {
                    format!(concat!($c_name, " {}"), inner)
                }
            }

            // What C sees has no holes, so that no bytes of ours leave in them.
            const _: () = assert!(size_of::<$name>() == 0 $(+ size_of::<$type>())*);
        )+

        /// All of them, in the order of definition.
        pub fn structs() -> Vec<$crate::declare::StructInfo> {
            vec![$($crate::declare::StructInfo {
                c_name: $c_name,
                doc: concat!($($doc, "\n",)+),
                size: size_of::<$name>(),
                fields: vec![$($crate::declare::MemberInfo {
                    doc: concat!($($field_doc, "\n",)* ""),
                    declaration: <$type as $crate::declare::CType>::declare(stringify!($field)),
                    offset: core::mem::offset_of!($name, $field),
                    name: stringify!($field),
                },)*],
            },)+]
        }
    };
}

/// Defines exported functions and the list of them for the header.
macro_rules! exports {
    ($($(#[doc = $doc:literal])+ fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(-> $ret:ty)? $body:block)+) => {
        $(
            $(#[doc = $doc])+
            // SAFETY: the name is ours alone: everything exported starts with `jb_`, and a test sees that none is twice.
            #[unsafe(no_mangle)]
            pub extern "C" fn $name($($arg: $type),*) $(-> $ret)? $body
        )+

        /// The functions of this module, for the header.
        pub fn functions() -> Vec<$crate::declare::FunctionInfo> {
            vec![$({
                let arguments: Vec<String> =
                    vec![$(<$type as $crate::declare::CType>::declare(stringify!($arg)),)*];
                let arguments =
                    if arguments.is_empty() { String::from("void") } else { arguments.join(", ") };
                let inner = format!(concat!(stringify!($name), "({})"), arguments);
                #[allow(unused_mut, unused_assignments, reason = "functions that return nothing do not set it")]
                let mut prototype = <() as $crate::declare::CType>::declare(&inner);
                $(prototype = <$ret as $crate::declare::CType>::declare(&inner);)?
                $crate::declare::FunctionInfo {
                    name: stringify!($name),
                    doc: concat!($($doc, "\n",)+),
                    prototype,
                }
            },)+]
        }
    };
}

pub(crate) use {c_structs, exports};
