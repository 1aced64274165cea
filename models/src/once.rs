//! What stands for `OnceBox` of `once_cell`, whose atomic pointer loom cannot see: made under a lock,
//! which in the library nobody waits for.

use loom::sync::Mutex;
use loom::sync::atomic::{AtomicBool, Ordering};

pub struct OnceBox<T> {
    value: std::sync::OnceLock<Box<T>>,
    is_set: AtomicBool,
    making: Mutex<()>,
}

impl<T> OnceBox<T> {
    pub fn new() -> Self {
        Self {
            value: std::sync::OnceLock::new(),
            is_set: AtomicBool::new(false),
            making: Mutex::new(()),
        }
    }

    pub fn get(&self) -> Option<&T> {
        if self.is_set.load(Ordering::Acquire) { self.value.get().map(|b| &**b) } else { None }
    }

    pub fn get_or_init(&self, make: impl FnOnce() -> Box<T>) -> &T {
        if let Some(value) = self.get() {
            return value;
        }
        let _making = self.making.lock().unwrap();
        let value = self.value.get_or_init(make);
        self.is_set.store(true, Ordering::Release);
        value
    }
}
