//! What a call returns: whether it could be made at all. That the market refused a request is an event, not an error.

macro_rules! statuses {
    ($(#[doc = $enum_doc:literal] )+ $name:ident { $($(#[doc = $doc:literal])+ $variant:ident = $raw:literal $c_name:literal,)+ }) => {
        $(#[doc = $enum_doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(i32)]
        pub enum $name { $($(#[doc = $doc])+ $variant = $raw,)+ }

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            pub const fn raw(self) -> i32 {
                self as i32
            }

            /// The name of the constant in the header.
            pub const fn c_name(self) -> &'static str {
                match self { $(Self::$variant => $c_name,)+ }
            }

            /// What it means, in a sentence.
            pub const fn explanation(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc, "\n",)+),)+ }
            }
        }
    };
}

statuses! {
    /// The outcome of a call.
    Status {
        /// The call was made. Whether the market took the request is in its result and its events.
        Ok = 0 "JB_OK",
        /// A pointer is null that must not be.
        Null = 1 "JB_ERR_NULL",
        /// No command has this template id.
        Template = 2 "JB_ERR_TEMPLATE",
        /// The size is not that of the command's struct.
        Size = 3 "JB_ERR_SIZE",
        /// A text is not UTF-8, or no symbol such as H200S.DE.20261124T1400.H.
        Text = 4 "JB_ERR_TEXT",
        /// A number lies outside what the call takes.
        Value = 5 "JB_ERR_VALUE",
        /// A batch is open that must not be, or none is open that must be.
        Batch = 6 "JB_ERR_BATCH",
        /// The engine is in use: the call came from within its own callback, which may only ask.
        Busy = 7 "JB_ERR_BUSY",
        /// The engine ignored the command: its account or session is not open, or it may not come from there.
        Origin = 8 "JB_ERR_ORIGIN",
        /// There is no such order, instrument, account, or nothing to say about it.
        NotFound = 9 "JB_ERR_NOT_FOUND",
        /// The recount found balances, holds or levels that do not add up.
        Imbalance = 10 "JB_ERR_IMBALANCE",
        /// The engine met an internal fault and does nothing any more; jb_fault_text tells which. Destroy it.
        Fault = 11 "JB_ERR_FAULT",
    }
}
