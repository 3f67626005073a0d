"""A page to look at what the server holds, where the official web application cannot be had. It changes nothing."""
