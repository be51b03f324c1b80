//! Messages that the page does without: what only clients from outside ask.

#[cfg(not(target_arch = "wasm32"))]
use std::sync::Arc;

/// What nobody asks but clients from outside, which come through the gateway. The page has none: there no such request can be, and the compiler leaves
/// out what would answer it.
#[cfg(not(target_arch = "wasm32"))]
pub type Outside<T> = Arc<T>;
#[cfg(target_arch = "wasm32")]
pub type Outside<T> = absent::Absent<T>;

#[cfg(target_arch = "wasm32")]
mod absent {
    /// A message that cannot be.
    #[derive(Clone, Debug)]
    pub struct Absent<T>(std::convert::Infallible, std::marker::PhantomData<T>);

    impl<T> std::ops::Deref for Absent<T> {
        type Target = T;

        fn deref(&self) -> &T {
            match self.0 {}
        }
    }
}

/// A message of those that the page does not have, which a node sends because of another.
#[cfg(not(target_arch = "wasm32"))]
pub fn outside<T>(message: T) -> Outside<T> {
    Arc::new(message)
}

/// Nobody comes here: that other message cannot be.
#[cfg(target_arch = "wasm32")]
pub fn outside<T>(_message: T) -> Outside<T> {
    unreachable!("the page has no such message")
}
