//! Clerk: identity. Its webhooks are signed and delivered by Svix.

pub mod event;
pub mod signature;
