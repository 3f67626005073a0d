"""Programs of the image that run beside the servers, under the names that the official image has for them."""
