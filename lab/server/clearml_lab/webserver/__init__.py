"""The web server: nginx in front of the apiserver, the fileserver and a page to look at what is there."""
