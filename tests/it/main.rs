mod clerk_api;
