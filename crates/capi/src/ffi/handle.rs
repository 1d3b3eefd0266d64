//! What `jb_engine` points to: the exchange, who listens, and whether it can still be used.

use core::cell::{Cell, RefCell};
use core::ffi::c_void;
use core::marker::PhantomData;
use core::ptr;
use std::ffi::CString;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::pointer::TextOut;
use crate::declare::CType;
use crate::exchange::Exchange;
use crate::structs::CEvent;
use crate::{BLOCK_WORDS_MAX, Status};

/// Behind an opaque pointer: never `Sync`, so a mutable borrow says that the engine is in use.
pub struct Handle {
    exchange: RefCell<Exchange>,
    listener: Cell<Listener>,
    /// The message of the panic after which nothing may be asked of the exchange any more.
    fault: RefCell<Option<CString>>,
}

/// `void (*jb_event_fn)(void *user, const jb_event *event)`.
pub type EventFn = Option<unsafe extern "C" fn(*mut c_void, *const CEvent)>;

#[derive(Clone, Copy)]
struct Listener {
    function: EventFn,
    user: *mut c_void,
}

impl CType for EventFn {
    fn declare(inner: &str) -> String {
        format!("jb_event_fn {inner}")
    }
}

/// The pointer that a callback gets back: passed on, never looked at.
#[repr(transparent)]
pub struct User(*mut c_void);

impl CType for User {
    fn declare(inner: &str) -> String {
        <*mut c_void as CType>::declare(inner)
    }
}

/// Null, or an engine that `jb_create` made and `jb_destroy` has not taken.
#[repr(transparent)]
pub struct EngineRef<'a>(*mut Handle, PhantomData<&'a Handle>);

impl CType for EngineRef<'_> {
    fn declare(inner: &str) -> String {
        format!("jb_engine *{inner}")
    }
}

/// Where `jb_create` puts the engine.
#[repr(transparent)]
pub struct EngineOut(*mut *mut Handle);

impl CType for EngineOut {
    fn declare(inner: &str) -> String {
        format!("jb_engine **{inner}")
    }
}

impl EngineOut {
    pub fn make(&self, exchange: impl FnOnce() -> Result<Exchange, Status>) -> Status {
        if self.0.is_null() {
            return Status::Null;
        }
        let made = catch_unwind(AssertUnwindSafe(exchange));
        let (handle, status) = match made {
            Ok(Ok(exchange)) => (Box::into_raw(Box::new(Handle::new(exchange))), Status::Ok),
            Ok(Err(status)) => (ptr::null_mut(), status),
            Err(_) => (ptr::null_mut(), Status::Fault),
        };
        // SAFETY: the caller promises room for a pointer where this one is not null.
        unsafe { self.0.write_unaligned(handle) }
        status
    }
}

impl<'a> EngineRef<'a> {
    /// Runs a command. Its events go to the listener afterwards, who may ask the engine but not command it.
    pub fn call(&self, command: impl FnOnce(&mut Exchange) -> Result<(), Status>) -> Status {
        self.handle().and_then(|handle| handle.call(command)).err().unwrap_or(Status::Ok)
    }

    pub fn ask(&self, question: impl FnOnce(&Exchange) -> Result<(), Status>) -> Status {
        self.handle().and_then(|handle| handle.ask(question)).err().unwrap_or(Status::Ok)
    }

    pub fn listen(&self, function: EventFn, user: User) -> Status {
        let listen = |handle: &Handle| {
            handle.exchange.try_borrow_mut().map_err(|_| Status::Busy)?;
            handle.listener.set(Listener { function, user: user.0 });
            Ok(())
        };
        self.handle().and_then(listen).err().unwrap_or(Status::Ok)
    }

    /// The message of the fault, good until the engine is destroyed; null while there was none.
    pub fn fault_text(&self) -> TextOut {
        let Ok(handle) = self.handle() else { return TextOut::of(None) };
        TextOut::of(handle.fault.borrow().as_deref())
    }

    /// Null is destroyed already.
    pub fn destroy(self) -> Status {
        let Ok(handle) = self.handle() else { return Status::Ok };
        if handle.exchange.try_borrow_mut().is_err() {
            return Status::Busy;
        }
        // SAFETY: `jb_create` made the box, the caller gives it back once, and nothing borrows it: that was just tested.
        drop(unsafe { Box::from_raw(self.0) });
        Status::Ok
    }

    fn handle(&self) -> Result<&'a Handle, Status> {
        // SAFETY: the caller promises null or an engine that lives, on one thread at a time; only shared references to the
        // handle ever exist.
        unsafe { self.0.as_ref() }.ok_or(Status::Null)
    }
}

impl Handle {
    fn new(exchange: Exchange) -> Self {
        let nobody = Listener { function: None, user: ptr::null_mut() };
        Self { exchange: RefCell::new(exchange), listener: Cell::new(nobody), fault: RefCell::new(None) }
    }

    fn call(&self, command: impl FnOnce(&mut Exchange) -> Result<(), Status>) -> Result<(), Status> {
        self.guarded(|| {
            let result = {
                let mut exchange = self.exchange.try_borrow_mut().map_err(|_| Status::Busy)?;
                exchange.clear_events();
                command(&mut exchange)
            };
            self.deliver(&self.exchange.borrow());
            result
        })
    }

    fn ask(&self, question: impl FnOnce(&Exchange) -> Result<(), Status>) -> Result<(), Status> {
        self.guarded(|| question(&*self.exchange.try_borrow().map_err(|_| Status::Busy)?))
    }

    /// Lets no panic out. After one the state is not known to be whole, so nothing is done with it any more.
    fn guarded(&self, work: impl FnOnce() -> Result<(), Status>) -> Result<(), Status> {
        if self.fault.borrow().is_some() {
            return Err(Status::Fault);
        }
        catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
            let text = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied());
            let text = text.unwrap_or("a panic without a message").replace('\0', "");
            *self.fault.borrow_mut() = Some(CString::new(text).expect("zero bytes were taken out"));
            Err(Status::Fault)
        })
    }

    fn deliver(&self, exchange: &Exchange) {
        let Listener { function: Some(function), user } = self.listener.get() else { return };
        let mut block = [0_u64; BLOCK_WORDS_MAX];
        for told in exchange.told() {
            let size = told.copy_block(&mut block);
            let event = CEvent {
                data: block.as_ptr().cast(),
                command_seq: exchange.engine().last_seq().raw(),
                account: told.account,
                session: told.session,
                template_id: told.template_id,
                size,
                reserved: 0,
            };
            // SAFETY: the function and its pointer came together from a caller, who promises that they go together; event
            // and block outlive the call.
            unsafe { function(user, &event) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_fault_nothing_is_done() {
        let handle = Handle::new(Exchange::empty());
        assert_eq!(handle.call(|_| Err(Status::Value)), Err(Status::Value));
        assert_eq!(handle.call(|_| panic!("level {} is empty", 7)), Err(Status::Fault));
        assert_eq!(handle.call(|_| Ok(())), Err(Status::Fault));
        assert_eq!(handle.ask(|_| Ok(())), Err(Status::Fault));
        assert_eq!(handle.fault.borrow().as_ref().unwrap().to_str(), Ok("level 7 is empty"));
    }

    #[test]
    fn a_fault_in_a_question_counts_too() {
        let handle = Handle::new(Exchange::empty());
        assert_eq!(handle.ask(|_| panic!("no such level")), Err(Status::Fault));
        assert_eq!(handle.call(|_| Ok(())), Err(Status::Fault));
    }
}
