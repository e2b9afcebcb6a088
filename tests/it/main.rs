mod clerk_api;
mod sender;
